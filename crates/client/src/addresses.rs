//! Where the coordinators of one database are. Any of them will do, so the next one is asked when one can't
//! be reached.

use std::sync::atomic::{AtomicUsize, Ordering};

use url::{Host, Url};

use crate::error::ClientError;

/// Addresses of coordinators, and which of them answers.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// Scheme, host and port, without a slash at the end; at least one.
    all: Vec<String>,
    current: AtomicUsize,
}

impl Addresses {
    /// Reads one address, or several with commas between them. A path is dropped (HTTP contract §1).
    pub(crate) fn parse(text: &str) -> Result<(Self, bool), ClientError> {
        let nonsense = || ClientError::Address(text.to_owned());
        let mut all = Vec::new();
        let mut all_here = true;
        for one in text.split(',').map(str::trim) {
            let url = Url::parse(one).map_err(|_| nonsense())?;
            if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
                return Err(nonsense());
            }
            all_here &= is_loopback(&url);
            all.push(url.origin().ascii_serialization());
        }
        Ok((Self { all, current: AtomicUsize::new(0) }, all_here))
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn all(&self) -> &[String] {
        &self.all
    }

    /// The one that is asked now.
    pub(crate) fn current(&self) -> &str {
        &self.all[self.current.load(Ordering::Relaxed)]
    }

    /// This one can't be reached; the next is asked from now on, unless that was found out before.
    pub(crate) fn move_on_from(&self, address: &str) {
        let current = self.current.load(Ordering::Relaxed);
        if self.all[current] == address {
            let next = (current + 1) % self.all.len();
            // Whoever comes first moves on.
            let _ = self.current.compare_exchange(current, next, Ordering::Relaxed, Ordering::Relaxed);
        }
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
    fn of_several_addresses_the_next_is_asked_when_one_can_t_be_reached() {
        let (addresses, all_here) = Addresses::parse("http://a:5000/path, http://localhost:1").unwrap();
        assert!(!all_here);
        assert_eq!(addresses.current(), "http://a:5000");
        addresses.move_on_from("http://a:5000");
        addresses.move_on_from("http://a:5000");
        assert_eq!(addresses.current(), "http://localhost:1", "once for one failure");
        addresses.move_on_from("http://localhost:1");
        assert_eq!(addresses.current(), "http://a:5000");
        assert!(Addresses::parse("http://a:5000,").is_err());
    }
}
