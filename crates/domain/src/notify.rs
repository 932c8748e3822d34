//! Notifications: which URLs may get requests, and when a failed request is repeated.
//!
//! A coordinator sends requests only where its administrator allows it, so that no user can reach the internal services of
//! its network with them. A URL is checked when the job is submitted and again before each request. The addresses to which
//! its host resolves are checked when the connection is made.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use mitosis_protocol::Timestamp;
use mitosis_protocol::notify::MAX_URL_BYTES;
use url::{Host, Url};

use crate::backoff::Backoff;

/// The first and the longest wait before a repetition.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_hours(1));
/// How long a notification is repeated.
pub const DELIVERY_LIMIT: Duration = Duration::from_hours(24);

/// When to repeat a notification after a failed request; `None` if it is not.
pub fn next_attempt(attempts: u32, created_at: Timestamp, now: Timestamp, chance: u32) -> Option<Timestamp> {
    let (first, longest) = BACKOFF;
    let wait = Backoff::new(first, longest).after(attempts.saturating_sub(1)).next_wait(chance);
    let next = now + wait;
    (next <= created_at + DELIVERY_LIMIT).then_some(next)
}

/// The URL of a receiver.
#[derive(Clone, PartialEq, Eq)]
pub struct Receiver(Url);

/// Why a URL can't get notifications. The text does not contain it: it may be a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReceiver {
    /// It is no URL, or of another kind.
    #[error("it is not a URL that begins with https:// or http://")]
    NoUrl,
    /// It contains a user name or a password.
    #[error("it contains a user name or a password")]
    Credentials,
    /// It has a fragment.
    #[error("it has a part after #, which would not be sent")]
    Fragment,
    /// It is too long.
    #[error("it is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
}

impl Receiver {
    /// Checks the form of a URL.
    pub fn parse(text: &str) -> Result<Self, InvalidReceiver> {
        if text.len() > MAX_URL_BYTES {
            return Err(InvalidReceiver::TooLong);
        }
        let url = Url::parse(text).map_err(|_| InvalidReceiver::NoUrl)?;
        if !is_web(&url) {
            return Err(InvalidReceiver::NoUrl);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidReceiver::Credentials);
        }
        if url.fragment().is_some() {
            return Err(InvalidReceiver::Fragment);
        }
        Ok(Self(url))
    }

    /// The whole URL.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Scheme, host and port: the part that may be shown.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({})", self.origin())
    }
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.host().is_some()
}

/// The receivers that an administrator allows. None is allowed by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedReceivers(Vec<Allowed>);

/// An entry of the list that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not the beginning of a URL: expected https://HOST, https://*.DOMAIN or https://HOST/PATH, with a port \
     if it is not the usual one"
)]
pub struct InvalidAllowed(String);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Allowed {
    scheme: String,
    host: HostPattern,
    port: Option<u16>,
    /// With a `/` at the end.
    path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    /// This host.
    Exactly(Host),
    /// All hosts below a domain; `.` and the domain, or nothing for all domains.
    Below(String),
}

/// The addresses to which the name of a host may resolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// Addresses of the Internet: the host is one of many that a pattern allows.
    Internet,
    /// Also private networks: the name was allowed.
    Network,
    /// This machine: `localhost` was allowed.
    ThisMachine,
}

impl AllowedReceivers {
    /// Parses the entries of the list.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidAllowed> {
        let parsed = entries
            .into_iter()
            .map(|entry| Allowed::parse(entry).ok_or_else(|| InvalidAllowed(entry.to_owned())));
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a receiver is allowed.
    pub fn allows(&self, receiver: &Receiver) -> bool {
        self.0.iter().any(|allowed| allowed.matches(&receiver.0))
    }

    /// Whether a host may be reached at an address to which its name resolves.
    pub fn allows_address(&self, host: &str, address: IpAddr) -> bool {
        let host = Host::Domain(host.trim_end_matches('.').to_ascii_lowercase());
        let reach = self.0.iter().filter(|allowed| allowed.host.matches(&host)).map(|a| a.host.reach()).max();
        match reach {
            None => false,
            Some(Reach::Internet) => is_internet(address),
            Some(Reach::Network) => is_internet(address) || is_private(address),
            Some(Reach::ThisMachine) => true,
        }
    }
}

impl Allowed {
    fn parse(entry: &str) -> Option<Self> {
        let text = if entry.contains("://") { entry.to_owned() } else { format!("https://{entry}") };
        let url = Url::parse(&text).ok().filter(is_web)?;
        let has_more = !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some();
        if has_more {
            return None;
        }
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: HostPattern::parse(url.host()?.to_owned())?,
            port: url.port_or_known_default(),
            path: format!("{}/", url.path().trim_end_matches('/')),
        })
    }

    fn matches(&self, url: &Url) -> bool {
        self.scheme == url.scheme()
            && self.port == url.port_or_known_default()
            && url.host().is_some_and(|host| self.host.matches(&host.to_owned()))
            && self.has_path(url.path())
    }

    /// Whether a path is below that of the entry. A receiver may decode an encoded `/` or `.`, so neither is accepted.
    fn has_path(&self, path: &str) -> bool {
        let lower = path.to_ascii_lowercase();
        let is_ambiguous = ["%2f", "%5c", "%2e", "%25"].iter().any(|code| lower.contains(code));
        self.path == "/" || !is_ambiguous && format!("{path}/").starts_with(&self.path)
    }
}

impl HostPattern {
    fn parse(host: Host) -> Option<Self> {
        let Host::Domain(name) = &host else { return Some(Self::Exactly(host)) };
        match name.strip_prefix('*') {
            None if name.contains('*') => None,
            None => Some(Self::Exactly(host)),
            Some("") => Some(Self::Below(String::new())),
            Some(domain) if domain.starts_with('.') && domain.len() > 1 && !domain.contains('*') => {
                Some(Self::Below(domain.to_owned()))
            }
            Some(_) => None,
        }
    }

    fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exactly(allowed), host) => allowed == host,
            (Self::Below(domain), Host::Domain(name)) => {
                name.len() > domain.len() && name.ends_with(domain.as_str())
            }
            (Self::Below(_), Host::Ipv4(_) | Host::Ipv6(_)) => false,
        }
    }

    fn reach(&self) -> Reach {
        match self {
            Self::Below(_) => Reach::Internet,
            Self::Exactly(Host::Domain(name)) if name == "localhost" => Reach::ThisMachine,
            Self::Exactly(_) => Reach::Network,
        }
    }
}

/// Whether an address is one of a private network.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_private() || is_shared(address),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

/// Whether an address is one of the Internet. Addresses with an IPv4 address in them count as that one.
fn is_internet(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_internet_v4(address),
        IpAddr::V6(address) => match translated(address) {
            Some(inner) => is_internet_v4(inner),
            None => is_internet_v6(address),
        },
    }
}

fn is_internet_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_special = address.is_private()
        || is_shared(address)
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || first == 0
        || first >= 224
        || (first, second, third) == (192, 0, 0)
        || first == 198 && second & 0xfe == 18;
    !is_special
}

/// 100.64.0.0/10, between a provider and its customers.
fn is_shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && second & 0xc0 == 64
}

fn is_internet_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // Of what is assigned, without documentation and Teredo.
    first & 0xe000 == 0x2000 && (first, second) != (0x2001, 0x0db8) && (first, second) != (0x2001, 0)
}

/// The IPv4 address in an address of NAT64 or 6to4.
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let inner = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => inner(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(entries: &[&str]) -> AllowedReceivers {
        AllowedReceivers::parse(entries.iter().copied()).unwrap()
    }

    #[test]
    fn receiver_is_a_plain_web_address() {
        for (text, expected) in [
            ("https://hooks.example.org/a?b=c", Ok("https://hooks.example.org")),
            ("http://127.0.0.1:9000", Ok("http://127.0.0.1:9000")),
            ("ftp://example.org", Err(InvalidReceiver::NoUrl)),
            ("file:///etc/passwd", Err(InvalidReceiver::NoUrl)),
            ("example.org", Err(InvalidReceiver::NoUrl)),
            ("https://ann:secret@example.org", Err(InvalidReceiver::Credentials)),
            ("https://example.org/#here", Err(InvalidReceiver::Fragment)),
        ] {
            let origin = Receiver::parse(text).map(|receiver| receiver.origin());
            assert_eq!(origin, expected.map(str::to_owned), "{text}");
        }
        let long = format!("https://example.org/{}", "x".repeat(MAX_URL_BYTES));
        assert_eq!(Receiver::parse(&long), Err(InvalidReceiver::TooLong));
    }

    #[test]
    fn only_listed_receivers_are_allowed() {
        let list = allowed(&[
            "hooks.example.org/jobs/",
            "https://*.chat.example",
            "http://127.0.0.1:9000",
            "http://[::1]:9000",
            "https://ci.example:8443",
        ]);
        for (url, expected) in [
            ("https://hooks.example.org/jobs", true),
            ("https://hooks.example.org/jobs/7?x=y", true),
            ("https://HOOKS.example.org:443/jobs/7", true),
            ("https://hooks.example.org/jobs2", false),
            ("https://hooks.example.org/jobs/../admin", false),
            ("https://hooks.example.org/jobs/..%2fadmin", false),
            ("https://hooks.example.org/jobs/%252e%252e/admin", false),
            ("http://hooks.example.org/jobs", false),
            ("https://hooks.example.org.evil.example/jobs", false),
            ("https://team.chat.example/x", true),
            ("https://chat.example/x", false),
            ("https://evilchat.example/x", false),
            ("https://10.0.0.1/x", false),
            ("http://127.0.0.1:9000/x", true),
            ("http://0x7f.1:9000/x", true),
            ("http://127.0.0.1/x", false),
            ("http://127.0.0.2:9000/x", false),
            ("http://localhost:9000/x", false),
            ("http://[::1]:9000/x", true),
            ("https://ci.example:8443", true),
            ("https://ci.example", false),
        ] {
            assert_eq!(list.allows(&Receiver::parse(url).unwrap()), expected, "{url}");
        }
        assert!(!allowed(&[]).allows(&Receiver::parse("https://example.org").unwrap()));
        assert!(allowed(&["https://*"]).allows(&Receiver::parse("https://example.org").unwrap()));
        assert!(!allowed(&["https://*"]).allows(&Receiver::parse("https://10.0.0.1").unwrap()));
    }

    #[test]
    fn entries_that_would_match_something_else_are_refused() {
        for entry in [
            "",
            "ftp://a.example",
            "https://a@b.example",
            "https://a.*.b",
            "https://*x.example",
            "a.example?x",
            "*.",
        ] {
            assert!(AllowedReceivers::parse([entry]).is_err(), "{entry}");
        }
    }

    #[test]
    fn names_resolve_to_addresses_that_their_entry_allows() {
        let list = allowed(&["https://*.chat.example", "hooks.lab.example", "http://localhost:9000"]);
        for (host, address, expected) in [
            ("a.chat.example", "93.184.216.34", true),
            ("a.chat.example", "2606:4700::1111", true),
            ("a.chat.example", "10.0.0.1", false),
            ("a.chat.example", "127.0.0.1", false),
            ("a.chat.example", "100.64.0.1", false),
            ("a.chat.example", "64:ff9b::a00:1", false),
            ("a.chat.example", "2002:7f00:1::", false),
            ("hooks.lab.example", "10.0.0.1", true),
            ("hooks.lab.example.", "fd00::1", true),
            ("hooks.lab.example", "127.0.0.1", false),
            ("hooks.lab.example", "::ffff:127.0.0.1", false),
            ("hooks.lab.example", "169.254.169.254", false),
            ("hooks.lab.example", "fe80::1", false),
            ("hooks.lab.example", "0.0.0.0", false),
            ("hooks.lab.example", "::", false),
            ("hooks.lab.example", "224.0.0.1", false),
            ("localhost", "127.0.0.1", true),
            ("other.example", "93.184.216.34", false),
        ] {
            assert_eq!(list.allows_address(host, address.parse().unwrap()), expected, "{host} {address}");
        }
    }

    #[test]
    fn failed_request_is_repeated_for_a_day() {
        let (start, longest) = (Timestamp::UNIX_EPOCH, u32::MAX);
        let (mut now, mut attempts) = (start, 0);
        while let Some(next) = next_attempt(attempts + 1, start, now, longest) {
            attempts += 1;
            if attempts == 1 {
                assert_eq!(next.since(now), Duration::from_secs(5));
            }
            assert!(next.since(now) <= Duration::from_hours(1));
            now = next;
        }
        assert!((30..40).contains(&attempts), "{attempts}");
        assert!(now.since(start) > DELIVERY_LIMIT.saturating_sub(Duration::from_hours(1)));
    }
}
