//! The configuration of an S3 service.

use std::net::IpAddr;
use std::time::Duration;

use rusty_s3::{Bucket, BucketError, UrlStyle};
use secrecy::SecretString;
use url::{Host, Url};

use crate::ObjectError;

/// The address, buckets and credentials of an S3 service. [`Self::new`] fills in the documented defaults.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// The address that the coordinator uses.
    pub endpoint: Url,
    /// The address in links to clients and workers, if it differs.
    pub public_endpoint: Option<Url>,
    /// The access key.
    pub access_key: String,
    /// The secret key.
    pub secret_key: SecretString,
    /// The region for which requests are signed.
    pub region: String,
    /// How a bucket becomes part of an address.
    pub addressing: Addressing,
    /// The bucket of artifacts.
    pub artifacts_bucket: String,
    /// The bucket of attachments.
    pub attachments_bucket: String,
    /// Where links lead.
    pub links: LinkRoute,
    /// Larger bodies are sent in parts of this size. A part is held in memory while it is sent. Services
    /// require at least 5 MiB.
    pub part_size: u64,
    /// Time limit of a connection attempt.
    pub connect_timeout: Duration,
    /// Time limit of a reply, and of the next bytes of one.
    pub reply_timeout: Duration,
}

/// How a bucket becomes part of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// `https://bucket.host/key`. Where that can't work, path style is used.
    VirtualHost,
    /// `https://host/bucket/key`.
    Path,
}

/// Where links lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkRoute {
    /// Directly to the service, if it accepts an object of the size in one request.
    Direct,
    /// To the coordinator, for services that clients and workers can't reach.
    ViaCoordinator,
}

impl S3Config {
    /// Creates a configuration with the documented defaults.
    pub fn new(endpoint: Url, access_key: impl Into<String>, secret_key: SecretString) -> Self {
        Self {
            endpoint,
            public_endpoint: None,
            access_key: access_key.into(),
            secret_key,
            region: "mitosis".to_owned(),
            addressing: Addressing::VirtualHost,
            artifacts_bucket: "mitosis-artifacts".to_owned(),
            attachments_bucket: "mitosis-attachments".to_owned(),
            links: LinkRoute::Direct,
            part_size: 8 * 1024 * 1024,
            connect_timeout: Duration::from_secs(5),
            reply_timeout: Duration::from_secs(30),
        }
    }

    /// The bucket `name` at `endpoint`.
    pub(super) fn bucket(&self, endpoint: &Url, name: &str) -> Result<Bucket, ObjectError> {
        let style = style(endpoint, self.addressing);
        Bucket::new(endpoint.clone(), style, name.to_owned(), self.region.clone()).map_err(|error| {
            let why = match error {
                BucketError::UnsupportedScheme => "it must start with http:// or https://",
                BucketError::MissingHost => "it names no host",
                BucketError::ParseError(_) => {
                    "the bucket's name can't be part of a host name; set s3_force_path_style"
                }
            };
            ObjectError::BadEndpoint { endpoint: origin(endpoint), why }
        })
    }
}

/// Scheme, host and port: the part of an address that may be shown.
pub(super) fn origin(endpoint: &Url) -> String {
    match endpoint.host() {
        Some(_) => endpoint.origin().ascii_serialization(),
        None => format!("{}:", endpoint.scheme()),
    }
}

fn style(endpoint: &Url, wanted: Addressing) -> UrlStyle {
    match wanted {
        Addressing::Path => UrlStyle::Path,
        Addressing::VirtualHost if can_have_subdomains(endpoint) => UrlStyle::VirtualHost,
        Addressing::VirtualHost => {
            tracing::info!(
                endpoint = origin(endpoint),
                "using path-style addresses: a bucket can't be put in front of this host"
            );
            UrlStyle::Path
        }
    }
}

/// Whether the host can have subdomains. An IP address has none; names without a dot, such as `localhost`, have
/// none that resolve.
fn can_have_subdomains(endpoint: &Url) -> bool {
    match endpoint.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name.contains('.') && !name.ends_with(".localhost")
        }
        _ => false,
    }
}

/// Whether requests to this address never leave the machine.
pub(super) fn is_loopback(endpoint: &Url) -> bool {
    match endpoint.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(endpoint: &str, addressing: Addressing) -> Result<String, ObjectError> {
        let endpoint: Url = endpoint.parse().unwrap();
        let config = S3Config { addressing, ..S3Config::new(endpoint.clone(), "key", "secret".into()) };
        Ok(config.bucket(&endpoint, "mitosis-artifacts")?.object_url("a/b c").into())
    }

    #[test]
    fn bucket_is_a_subdomain_where_possible() {
        for (endpoint, expected) in [
            ("https://s3.example.org", "https://mitosis-artifacts.s3.example.org/a/b%20c"),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000/mitosis-artifacts/a/b%20c"),
            ("http://[::1]:9000/", "http://[::1]:9000/mitosis-artifacts/a/b%20c"),
            ("http://localhost:9000", "http://localhost:9000/mitosis-artifacts/a/b%20c"),
            ("http://s3.localhost:9000", "http://s3.localhost:9000/mitosis-artifacts/a/b%20c"),
            ("http://minio:9000", "http://minio:9000/mitosis-artifacts/a/b%20c"),
        ] {
            assert_eq!(address(endpoint, Addressing::VirtualHost).unwrap(), expected);
        }
    }

    #[test]
    fn path_style_is_used_if_configured() {
        let address = address("https://s3.example.org/store", Addressing::Path).unwrap();
        assert_eq!(address, "https://s3.example.org/store/mitosis-artifacts/a/b%20c");
    }

    #[test]
    fn address_that_is_not_http_is_refused_with_a_hint() {
        let error = address("postgres://user:password@db.example.org", Addressing::Path).unwrap_err();
        assert!(error.hint().unwrap().contains("s3_url"));
        assert!(!error.to_string().contains("password"), "{error}");
    }

    #[test]
    fn secret_key_is_not_shown() {
        let config = S3Config::new("http://localhost".parse().unwrap(), "key", "swordfish".into());
        assert!(!format!("{config:?}").contains("swordfish"));
    }
}
