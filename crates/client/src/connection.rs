//! Connections: an address, with the token of a user or of a worker.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Method};
use secrecy::SecretString;

use crate::addresses::Addresses;
use crate::call::{Call, REPLY_TIMEOUT};
use crate::capabilities::Learned;
use crate::error::ClientError;

/// Time limit of a connection attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to a coordinator, without a token.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    addresses: Arc<Addresses>,
    authorities: Option<Arc<str>>,
}

/// A connection to a coordinator with a user's token.
#[derive(Debug, Clone)]
pub struct UserClient {
    client: Client,
    token: SecretString,
}

/// A connection to a coordinator with a worker's token. Clones share the token, also when it is renewed.
#[derive(Debug, Clone)]
pub struct WorkerClient {
    client: Client,
    token: Arc<RwLock<SecretString>>,
}

impl Client {
    /// Creates a client for an address, or for several coordinators of one database, separated by commas: when
    /// one can't be reached, the client switches to the next. A path is kept, for a proxy that serves the
    /// coordinator below it. Proxy variables of the environment are used, but never for this machine itself.
    pub fn new(address: &str) -> Result<Self, ClientError> {
        Self::trusting(address, None)
    }

    /// Creates a client like [`Self::new`] that also trusts the certificate authorities in a PEM file.
    pub fn trusting(address: &str, authorities: Option<&str>) -> Result<Self, ClientError> {
        let (addresses, all_here) = Addresses::parse(address)?;
        let unusable = |error: reqwest::Error| ClientError::Setup(error.into());
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("mito/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            // A redirect would drop the token or turn a POST into a GET, so each call handles redirects itself.
            .redirect(Policy::none())
            .tcp_nodelay(true);
        if let Some(pem) = authorities {
            http = http.tls_certs_merge(Certificate::from_pem_bundle(pem.as_bytes()).map_err(unusable)?);
        }
        if all_here {
            http = http.no_proxy();
        }
        Ok(Self {
            http: http.build().map_err(unusable)?,
            addresses: Arc::new(addresses),
            authorities: authorities.map(Arc::from),
        })
    }

    /// Scheme, host, port and path of the coordinator in use.
    pub fn address(&self) -> &str {
        self.addresses.current()
    }

    /// All addresses, in the form of [`Self::new`].
    pub fn addresses(&self) -> String {
        self.addresses.all().join(",")
    }

    /// The certificate authorities that it trusts in addition to those of the system, in PEM.
    pub fn authorities(&self) -> Option<&str> {
        self.authorities.as_deref()
    }

    /// A client for the same coordinator with a user's token.
    pub fn with_user_token(&self, token: SecretString) -> UserClient {
        UserClient { client: self.clone(), token }
    }

    /// A client for the same coordinator with a worker's token.
    pub fn with_worker_token(&self, token: SecretString) -> WorkerClient {
        WorkerClient { client: self.clone(), token: Arc::new(RwLock::new(token)) }
    }

    pub(crate) fn learned(&self) -> &Learned {
        &self.addresses.learned
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        self.stream(method, path).within(REPLY_TIMEOUT)
    }

    /// A request with an endless reply: it has no total time limit.
    fn stream(&self, method: Method, path: &str) -> Call<'_> {
        Call::new(&self.http, &self.addresses, method, path)
    }
}

impl UserClient {
    /// The client without a token.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn stream(&self, method: Method, path: &str) -> Call<'_> {
        self.client.stream(method, path).bearer(&self.token)
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        self.client.call(method, path).bearer(&self.token)
    }
}

impl WorkerClient {
    /// The worker's present token.
    pub fn token(&self) -> SecretString {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn replace_token(&self, token: SecretString) {
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// The client without a token.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        self.client.call(method, path).bearer(&self.token())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_keeps_its_path_and_must_be_valid() {
        assert_eq!(
            Client::new("http://host:5000/some/path/").unwrap().address(),
            "http://host:5000/some/path"
        );
        assert_eq!(Client::new("http://host:5000").unwrap().address(), "http://host:5000");
        for nonsense in ["host:5000", "ftp://host", "", "http://", "http://host/?x", "http://host/#x"] {
            assert!(matches!(Client::new(nonsense), Err(ClientError::Address { .. })), "{nonsense}");
        }
    }

    #[test]
    fn unusable_authority_file_is_refused() {
        let garbage = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
        assert!(matches!(Client::trusting("https://h", Some(garbage)), Err(ClientError::Setup(_))));
    }

    #[test]
    fn tokens_are_not_shown() {
        let user = Client::new("http://h").unwrap().with_user_token("s3cret".into());
        assert!(!format!("{user:?}").contains("s3cret"));
    }
}
