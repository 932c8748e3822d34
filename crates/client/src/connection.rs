//! Who talks to whom: an address, and the token of a user or of a worker.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::Method;
use secrecy::SecretString;

use crate::addresses::Addresses;
use crate::call::Call;
use crate::error::ClientError;

/// How long to wait for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A coordinator's address.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    addresses: Arc<Addresses>,
}

/// A coordinator's address and a user's token.
#[derive(Debug, Clone)]
pub struct UserClient {
    client: Client,
    token: SecretString,
}

/// A coordinator's address and a worker's token. Clones share the token, also when it is renewed.
#[derive(Debug, Clone)]
pub struct WorkerClient {
    client: Client,
    token: Arc<RwLock<SecretString>>,
}

impl Client {
    /// An address, or those of several coordinators of one database with commas between them: when one
    /// can't be reached, the next is asked. A path is dropped (HTTP contract §1). Proxy variables of the
    /// environment are honoured, but never for this machine itself.
    pub fn new(address: &str) -> Result<Self, ClientError> {
        let (addresses, all_here) = Addresses::parse(address)?;
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("mito/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_LIMIT)
            .tcp_nodelay(true);
        if all_here {
            http = http.no_proxy();
        }
        Ok(Self {
            http: http.build().map_err(|error| ClientError::Setup(error.into()))?,
            addresses: Arc::new(addresses),
        })
    }

    /// Scheme, host and port of the coordinator that is asked now.
    pub fn address(&self) -> &str {
        self.addresses.current()
    }

    /// All of its addresses, as [`Self::new`] takes them.
    pub fn addresses(&self) -> String {
        self.addresses.all().join(",")
    }

    /// The same coordinator, as this user.
    pub fn with_user_token(&self, token: SecretString) -> UserClient {
        UserClient { client: self.clone(), token }
    }

    /// The same coordinator, as this worker.
    pub fn with_worker_token(&self, token: SecretString) -> WorkerClient {
        WorkerClient { client: self.clone(), token: Arc::new(RwLock::new(token)) }
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call::new(&self.http, &self.addresses, method, path)
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
    /// The worker's present token.
    pub fn token(&self) -> SecretString {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn replace_token(&self, token: SecretString) {
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// The address behind it.
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
