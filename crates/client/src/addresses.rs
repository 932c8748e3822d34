//! The addresses of the coordinators of one database. They are equivalent, so the client switches to the next
//! one when one can't be reached.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use url::{Host, Url};

use crate::capabilities::Learned;
use crate::error::ClientError;

/// Addresses of coordinators, and the one in use.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// The addresses; at least one.
    all: Vec<Address>,
    current: AtomicUsize,
    /// The capabilities of the coordinators. They share a database, so they have one version.
    pub(crate) learned: Learned,
}

/// Scheme, host, port and path, without a trailing slash.
#[derive(Debug)]
struct Address {
    given: String,
    /// The address with TLS, if a redirect required it.
    with_tls: OnceLock<String>,
}

impl Address {
    fn now(&self) -> &str {
        self.with_tls.get().unwrap_or(&self.given)
    }
}

impl Addresses {
    /// Parses one address, or several separated by commas. Also returns whether all of them are on this
    /// machine.
    pub(crate) fn parse(text: &str) -> Result<(Self, bool), ClientError> {
        if let Some((_, host)) = text.rsplit_once('@') {
            let why = "it must not contain a user name or a password";
            return Err(ClientError::Address { shown: format!("…@{host}"), why });
        }
        let mut all = Vec::new();
        let mut all_here = true;
        for one in text.split(',').map(str::trim) {
            let invalid = |why| ClientError::Address { shown: text.to_owned(), why };
            let url = Url::parse(one).map_err(|_| invalid(FORM))?;
            if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
                return Err(invalid(FORM));
            }
            if url.query().is_some() || url.fragment().is_some() {
                return Err(invalid("it must not contain a query or a fragment"));
            }
            all_here &= is_loopback(&url);
            let given = url.as_str().trim_end_matches('/').to_owned();
            all.push(Address { given, with_tls: OnceLock::new() });
        }
        Ok((Self { all, current: AtomicUsize::new(0), learned: Learned::default() }, all_here))
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn all(&self) -> Vec<&str> {
        self.all.iter().map(Address::now).collect()
    }

    /// The address in use.
    pub(crate) fn current(&self) -> &str {
        self.all[self.current.load(Ordering::Relaxed)].now()
    }

    /// Switches to the next address because this one can't be reached, unless another request has done so
    /// already.
    pub(crate) fn move_on_from(&self, address: &str) {
        let current = self.current.load(Ordering::Relaxed);
        if self.all[current].now() == address {
            let next = (current + 1) % self.all.len();
            // Only the first caller switches.
            let _ = self.current.compare_exchange(current, next, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Follows a redirect of a request to `address` + `rest` if it leads to the same host with TLS, and returns
    /// the new address. Any other target would receive the token.
    pub(crate) fn upgrade(&self, address: &str, rest: &str, target: &Url) -> Option<&str> {
        let before = Url::parse(address).ok()?;
        let is_same_host = before.host() == target.host() && target.username().is_empty();
        if (before.scheme(), target.scheme()) != ("http", "https") || !is_same_host {
            return None;
        }
        let upgraded = target.as_str().strip_suffix(rest)?.to_owned();
        let place = self.all.iter().find(|place| place.now() == address || place.given == address)?;
        Some(place.with_tls.get_or_init(|| upgraded))
    }
}

const FORM: &str = "expected a URL such as http://127.0.0.1:5000";

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
    fn next_address_is_used_when_one_is_unreachable() {
        let (addresses, all_here) = Addresses::parse("http://a:5000/path, http://localhost:1").unwrap();
        assert!(!all_here);
        assert_eq!(addresses.current(), "http://a:5000/path");
        addresses.move_on_from("http://a:5000/path");
        addresses.move_on_from("http://a:5000/path");
        assert_eq!(addresses.current(), "http://localhost:1", "once for one failure");
        addresses.move_on_from("http://localhost:1");
        assert_eq!(addresses.current(), "http://a:5000/path");
        assert!(Addresses::parse("http://a:5000,").is_err());
    }

    #[test]
    fn address_with_credentials_is_refused_and_hidden() {
        for text in [
            "http://ann:secret@host",
            "http://ann:sec,ret@host",
            "http://ann:sec@ret@host",
            "ann:secret@host",
        ] {
            let error = Addresses::parse(text).unwrap_err().to_string();
            assert!(error.contains("…@host") && !error.contains("sec"), "{text}: {error}");
        }
    }

    #[test]
    fn redirect_is_followed_to_the_same_host_with_tls_only() {
        let upgraded = |address: &str, target: &str| {
            let (addresses, _) = Addresses::parse(address).unwrap();
            let target = Url::parse(target).unwrap();
            addresses.upgrade(address, "/v1/x?y=1", &target).map(str::to_owned)
        };
        let to = |target| upgraded("http://host/mito", target);
        assert_eq!(to("https://host/mito/v1/x?y=1").as_deref(), Some("https://host/mito"));
        assert_eq!(to("https://host:8443/mito/v1/x?y=1").as_deref(), Some("https://host:8443/mito"));
        for elsewhere in [
            "https://other/mito/v1/x?y=1",
            "http://host:81/mito/v1/x?y=1",
            "https://host/login?back=/v1/x",
            "https://ann@host/mito/v1/x?y=1",
        ] {
            assert_eq!(to(elsewhere), None, "{elsewhere}");
        }
        assert_eq!(upgraded("https://host", "https://host:1/v1/x?y=1"), None);
    }
}
