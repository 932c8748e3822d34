//! Who talks to whom: an address, and the token of a user or of a worker.

use std::time::Duration;

use reqwest::Method;
use secrecy::SecretString;
use url::{Host, Url};

use crate::call::Call;
use crate::error::ClientError;

/// How long to wait for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A coordinator's address.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    /// Scheme, host and port, without a slash at the end.
    address: String,
}

/// A coordinator's address and a user's token.
#[derive(Debug, Clone)]
pub struct UserClient {
    client: Client,
    token: SecretString,
}

/// A coordinator's address and a worker's token.
#[derive(Debug, Clone)]
pub struct WorkerClient {
    client: Client,
    token: SecretString,
}

impl Client {
    /// A path in the address is dropped (HTTP contract §1). Proxy variables of the environment are
    /// honoured, but never for this machine itself.
    pub fn new(address: &str) -> Result<Self, ClientError> {
        let url = Url::parse(address).map_err(|_| ClientError::Address(address.to_owned()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(ClientError::Address(address.to_owned()));
        }
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("mito/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_LIMIT)
            .tcp_nodelay(true);
        if is_loopback(&url) {
            http = http.no_proxy();
        }
        Ok(Self {
            http: http.build().map_err(|error| ClientError::Setup(error.into()))?,
            address: url.origin().ascii_serialization(),
        })
    }

    /// Scheme, host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The same coordinator, as this user.
    pub fn with_user_token(&self, token: SecretString) -> UserClient {
        UserClient { client: self.clone(), token }
    }

    /// The same coordinator, as this worker.
    pub fn with_worker_token(&self, token: SecretString) -> WorkerClient {
        WorkerClient { client: self.clone(), token }
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call::new(&self.http, &self.address, method, path)
    }
}

impl UserClient {
    /// The address behind it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        self.client.call(method, path).bearer(&self.token)
    }
}

impl WorkerClient {
    /// The worker's token.
    pub fn token(&self) -> &SecretString {
        &self.token
    }

    /// The address behind it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        self.client.call(method, path).bearer(&self.token)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scheme_host_and_port_of_an_address_count() {
        assert_eq!(Client::new("http://host:5000/some/path?x").unwrap().address(), "http://host:5000");
        for nonsense in ["host:5000", "ftp://host", "", "http://"] {
            assert!(matches!(Client::new(nonsense), Err(ClientError::Address(_))), "{nonsense}");
        }
    }

    #[test]
    fn tokens_are_not_shown() {
        let user = Client::new("http://h").unwrap().with_user_token("s3cret".into());
        assert!(!format!("{user:?}").contains("s3cret"));
    }
}
