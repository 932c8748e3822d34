//! The documented default password of the first administrator.

use std::net::{IpAddr, UdpSocket};

use http::header::{FORWARDED, HOST, VIA};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderName, Version};
use mitosis_protocol::{ErrorCode, Md5Password};

use crate::app::App;
use crate::error::Rejection;
use crate::settings::DEFAULT_ADMIN;

/// Headers that proxies add.
const OF_PROXIES: [HeaderName; 4] =
    [FORWARDED, VIA, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-real-ip")];

/// Whether this is the default password.
pub(crate) fn is_default(password: &Md5Password) -> bool {
    *password == Md5Password::from_digest(md5::compute(DEFAULT_ADMIN).0)
}

/// The rejection of a remote login with the default password.
pub(crate) fn remote_login_denied() -> Rejection {
    Rejection::new(
        ErrorCode::Forbidden,
        "this account still has the default password, which is valid only on the machine of the coordinator",
    )
    .hint(
        "run `mito client -c http://127.0.0.1:PORT users change-password` there; behind a proxy, set \
         trusted_proxies first",
    )
}

/// Whether a request was sent from this machine. A request that may have passed a proxy was not, unless a trusted proxy
/// says so.
pub(crate) fn is_local(app: &App, request: &Parts, client: IpAddr) -> bool {
    let may_be_relayed = !app.knows_its_proxies && (app.public_url.is_some() || is_relayed(request));
    is_own(client) && !may_be_relayed
}

/// Whether a request may have passed a proxy: many proxies add such a header, keep the host, or use HTTP/1.0.
fn is_relayed(request: &Parts) -> bool {
    let host = request.headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let is_by_name = host.is_some_and(|host| {
        let name = host.host().trim_start_matches('[').trim_end_matches(']');
        name != "localhost" && name.parse::<IpAddr>().is_err()
    });
    is_by_name
        || request.version < Version::HTTP_11
        || OF_PROXIES.iter().any(|name| request.headers.contains_key(name))
}

/// Whether an address is one of this machine: only then can anything listen on it.
fn is_own(address: IpAddr) -> bool {
    address.is_loopback() || (!address.is_unspecified() && UdpSocket::bind((address, 0)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_told_from_those_of_others() {
        assert!(is_own("127.0.0.1".parse().unwrap()) && is_own("::1".parse().unwrap()));
        for other in ["192.0.2.1", "2001:db8::1", "0.0.0.0"] {
            assert!(!is_own(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn relayed_requests_are_recognised() {
        let relayed = |build: fn(http::request::Builder) -> http::request::Builder| {
            let request = build(http::Request::builder()).body(()).unwrap();
            is_relayed(&request.into_parts().0)
        };
        assert!(!relayed(|request| request.header("host", "127.0.0.1:5000")));
        assert!(!relayed(|request| request.header("host", "[::1]:5000")));
        assert!(!relayed(|request| request.header("host", "localhost:5000")));
        assert!(relayed(|request| request.header("host", "mito.example")));
        assert!(relayed(|request| request.version(Version::HTTP_10)));
        for name in ["x-forwarded-for", "forwarded", "via", "x-real-ip"] {
            let request = http::Request::builder().header(name, "127.0.0.1").body(()).unwrap();
            assert!(is_relayed(&request.into_parts().0), "{name}");
        }
    }
}
