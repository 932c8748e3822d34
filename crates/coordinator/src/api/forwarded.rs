//! The headers of trusted proxies: the client of a request, and the address that it used.
//!
//! These headers are ignored in requests of other peers, which could otherwise forge the address of a client.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::header::FORWARDED;
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::app::App;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Networks of proxies whose headers are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// A text that is neither an IP address nor a network.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither an address nor a network such as 10.0.0.0/8")]
pub struct InvalidNetwork(String);

impl TrustedProxies {
    /// Parses addresses and networks in CIDR notation.
    pub fn parse<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidNetwork> {
        networks.into_iter().map(network).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an address is that of a trusted proxy.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

fn network(text: &str) -> Result<IpNet, InvalidNetwork> {
    let text = text.trim();
    text.parse::<IpAddr>()
        .map(|address| IpNet::from(address.to_canonical()))
        .or_else(|_| text.parse())
        .map_err(|_| InvalidNetwork(text.to_owned()))
}

/// The client of a request, and the address that it used if a trusted proxy reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forwarded {
    /// The client: the peer, or the client that the outermost trusted proxy reports.
    pub(crate) client: IpAddr,
    /// The scheme: `http` or `https`.
    pub(crate) scheme: Option<Scheme>,
    /// The host with an optional port.
    pub(crate) host: Option<Authority>,
    /// The path prefix that the proxy strips: it starts with a slash and doesn't end with one.
    pub(crate) prefix: Option<String>,
}

impl FromRequestParts<App> for Forwarded {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self::of(parts, app))
    }
}

impl Forwarded {
    /// Reads the headers of a request.
    pub(crate) fn of(parts: &Parts, app: &App) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
        Self::read(&parts.headers, peer, &app.trusted_proxies)
    }

    /// Reads the headers of a request from `peer`.
    pub(crate) fn read(headers: &HeaderMap, peer: IpAddr, trusted: &TrustedProxies) -> Self {
        let peer = peer.to_canonical();
        if !trusted.contains(peer) {
            return Self { client: peer, scheme: None, host: None, prefix: None };
        }
        match headers.contains_key(X_FORWARDED_FOR) || !headers.contains_key(FORWARDED) {
            true => from_separate_headers(headers, peer, trusted),
            false => from_one_header(headers, peer, trusted),
        }
    }
}

/// Reads the `X-Forwarded-*` headers. They take precedence: most proxies set these, and pass on a `Forwarded` of the
/// client unchanged.
fn from_separate_headers(headers: &HeaderMap, peer: IpAddr, trusted: &TrustedProxies) -> Forwarded {
    let hops = list(headers, &X_FORWARDED_FOR);
    let (client, crossed) = outermost(hops.iter().map(|hop| address(hop)), peer, trusted);
    let value = |name| seen_by_hop(&list(headers, name), crossed);
    Forwarded {
        client,
        scheme: value(&X_FORWARDED_PROTO).and_then(|text| scheme(&text)),
        host: value(&X_FORWARDED_HOST).and_then(|text| authority(&text)),
        prefix: value(&X_FORWARDED_PREFIX).and_then(|text| prefix(&text)),
    }
}

/// Reads the `Forwarded` header (RFC 7239).
fn from_one_header(headers: &HeaderMap, peer: IpAddr, trusted: &TrustedProxies) -> Forwarded {
    let hops = list(headers, &FORWARDED);
    let client = |hop: &String| parameter(hop, "for").and_then(|node| address(&node));
    let (client, crossed) = outermost(hops.iter().map(client), peer, trusted);
    let hop = seen_by_hop(&hops, crossed).unwrap_or_default();
    let prefixes = list(headers, &X_FORWARDED_PREFIX);
    Forwarded {
        client,
        scheme: parameter(&hop, "proto").and_then(|text| scheme(&text)),
        host: parameter(&hop, "host").and_then(|text| authority(&text)),
        prefix: seen_by_hop(&prefixes, crossed).and_then(|text| prefix(&text)),
    }
}

/// Follows the hops from the peer outwards while the proxies are trusted. Returns the last address, and the number of
/// entries that trusted proxies wrote. An entry that is not an address ends the search at the proxy that wrote it.
fn outermost(
    hops: impl DoubleEndedIterator<Item = Option<IpAddr>>,
    peer: IpAddr,
    trusted: &TrustedProxies,
) -> (IpAddr, usize) {
    let (mut nearest, mut crossed) = (peer, 0);
    for hop in hops.rev() {
        if !trusted.contains(nearest) {
            break;
        }
        crossed += 1;
        match hop {
            Some(address) => nearest = address,
            None => break,
        }
    }
    (nearest, crossed)
}

/// The entry of the outermost trusted proxy. If a proxy replaces the list, there is only one entry.
fn seen_by_hop(entries: &[String], crossed: usize) -> Option<String> {
    entries.get(entries.len().saturating_sub(crossed.max(1))).cloned()
}

/// The entries of a header that may be repeated.
fn list(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| split(line, ',')).collect()
}

/// Splits at separators outside of quotes, and drops empty parts.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut quoted = false;
    let pieces = text.split(|letter| {
        quoted ^= letter == '"';
        letter == separator && !quoted
    });
    pieces.map(str::trim).filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
}

/// The value of a parameter in an element of `Forwarded`.
fn parameter(element: &str, name: &str) -> Option<String> {
    split(element, ';').iter().find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let value = value.trim().trim_matches('"').to_owned();
        key.trim().eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Parses an address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(bracketed).or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

fn scheme(text: &str) -> Option<Scheme> {
    match text.to_ascii_lowercase().as_str() {
        "http" => Some(Scheme::HTTP),
        "https" => Some(Scheme::HTTPS),
        _ => None,
    }
}

fn authority(text: &str) -> Option<Authority> {
    text.parse::<Authority>().ok().filter(|authority| !authority.as_str().contains('@'))
}

fn prefix(text: &str) -> Option<String> {
    let path = text.trim_end_matches('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let usable = path.starts_with('/') && path.bytes().all(plain) && !path.contains("//");
    usable.then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(peer: &str, headers: &[(&'static str, &str)]) -> Forwarded {
        let trusted = TrustedProxies::parse(["10.0.0.0/8", "fd00::/8", "127.0.0.1"]).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Forwarded::read(&map, peer.parse().unwrap(), &trusted)
    }

    fn client(peer: &str, headers: &[(&'static str, &str)]) -> String {
        read(peer, headers).client.to_string()
    }

    #[test]
    fn headers_of_untrusted_peers_are_ignored() {
        let headers = [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=192.0.2.1;host=evil"),
        ];
        let seen = read("198.51.100.7", &headers);
        assert_eq!(seen.client.to_string(), "198.51.100.7");
        assert_eq!((seen.scheme, seen.host, seen.prefix), (None, None, None));
    }

    #[test]
    fn chain_ends_at_the_first_untrusted_proxy() {
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "192.0.2.1")]), "192.0.2.1");
        assert_eq!(client("::ffff:10.0.0.1", &[("x-forwarded-for", "192.0.2.1")]), "192.0.2.1");
        // Entries of the client come before those that the proxy added.
        assert_eq!(
            client("10.0.0.1", &[("x-forwarded-for", "203.0.113.9, 192.0.2.1, 10.0.0.2")]),
            "192.0.2.1"
        );
        assert_eq!(
            client("10.0.0.1", &[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "192.0.2.1")]),
            "192.0.2.1"
        );
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "192.0.2.1, nonsense")]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "192.0.2.1, nonsense, 10.0.0.2")]), "10.0.0.2");
    }

    #[test]
    fn forwarded_header_is_read_in_every_form() {
        for (spelling, meant) in [
            ("for=192.0.2.1", "192.0.2.1"),
            ("For=\"192.0.2.1:4711\";proto=https", "192.0.2.1"),
            ("for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("by=_a;for=\"[2001:db8::1]\", for=10.0.0.9", "2001:db8::1"),
            ("for=unknown", "127.0.0.1"),
            ("for=\"a,b\", for=192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(client("127.0.0.1", &[("forwarded", spelling)]), meant, "{spelling}");
        }
        // Most proxies pass on a `Forwarded` unchanged.
        let both = [("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "192.0.2.1")];
        assert_eq!(client("127.0.0.1", &both), "192.0.2.1");
    }

    #[test]
    fn address_that_the_client_used_is_validated() {
        let seen = read(
            "10.0.0.1",
            &[
                ("x-forwarded-for", "192.0.2.1"),
                ("x-forwarded-proto", "HTTPS"),
                ("x-forwarded-host", "mito.example:8443"),
                ("x-forwarded-prefix", "/tools/mito/"),
            ],
        );
        assert_eq!(seen.scheme, Some(Scheme::HTTPS));
        assert_eq!(seen.host.unwrap().as_str(), "mito.example:8443");
        assert_eq!(seen.prefix.as_deref(), Some("/tools/mito"));

        let seen = read("10.0.0.1", &[("forwarded", "for=192.0.2.1;proto=https;host=\"mito.example\"")]);
        assert_eq!((seen.scheme, seen.host.unwrap().as_str()), (Some(Scheme::HTTPS), "mito.example"));

        let odd = [
            ("x-forwarded-proto", "javascript"),
            ("x-forwarded-host", "user@evil.example"),
            ("x-forwarded-prefix", "//evil.example"),
        ];
        let seen = read("10.0.0.1", &odd);
        assert_eq!((seen.scheme, seen.host, seen.prefix), (None, None, None));
    }

    #[test]
    fn values_of_the_client_are_skipped() {
        let two = [
            ("x-forwarded-for", "192.0.2.1, 10.0.0.2"),
            ("x-forwarded-proto", "ftp, https, http"),
            ("x-forwarded-host", "evil.example, mito.example, inner"),
        ];
        let seen = read("10.0.0.1", &two);
        assert_eq!((seen.scheme, seen.host.unwrap().as_str()), (Some(Scheme::HTTPS), "mito.example"));
    }

    #[test]
    fn networks_and_addresses_are_parsed() {
        let trusted = TrustedProxies::parse(["192.0.2.1", "2001:db8::/32"]).unwrap();
        let contains = |text: &str| trusted.contains(text.parse().unwrap());
        assert!(contains("192.0.2.1") && contains("2001:db8::7") && contains("::ffff:192.0.2.1"));
        assert!(
            !contains("192.0.2.2") && !TrustedProxies::default().contains(IpAddr::V4(Ipv4Addr::LOCALHOST))
        );
        let error = TrustedProxies::parse(["nginx"]).unwrap_err();
        assert_eq!(error.to_string(), "`nginx` is neither an address nor a network such as 10.0.0.0/8");
    }
}
