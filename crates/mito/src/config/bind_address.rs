//! Addresses to listen on.

use std::net::{SocketAddr, ToSocketAddrs as _};

/// What an address on this port looks like, for errors.
pub(crate) fn expected(port: u16) -> String {
    format!("expected an IP address or the name of this machine, and a port, such as 127.0.0.1:{port}")
}

/// Parses an address, or resolves the name of a host with a port. Of several addresses, it is the first of IPv4.
pub(crate) fn resolve(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let all: Vec<SocketAddr> = text.to_socket_addrs().ok()?.collect();
    all.iter().find(|address| address.is_ipv4()).or(all.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_has_a_name_or_numbers_and_a_port() {
        assert_eq!(resolve("127.0.0.1:5000").unwrap().to_string(), "127.0.0.1:5000");
        assert_eq!(resolve("[::1]:0").unwrap().to_string(), "[::1]:0");
        let local = resolve("localhost:5601").unwrap();
        assert!(local.ip().is_loopback() && local.port() == 5601, "{local}");
        for wrong in ["localhost", "5000", "", "127.0.0.1", "127.0.0.1:70000"] {
            assert_eq!(resolve(wrong), None, "{wrong}");
        }
    }
}
