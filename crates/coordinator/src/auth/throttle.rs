//! Rate limits for failed logins.
//!
//! Every attempt takes a token from one or more buckets, and returns it if the password was right. Buckets refill with
//! time. A caller with an access token of the account has its own bucket, all others share one for each pair of account
//! and network: the guesses of a stranger never use up the tokens of the owner. Each coordinator counts separately. The
//! algorithm is GCRA: a bucket is stored as the time at which it is full.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mitosis_protocol::Timestamp;

/// Failures of an account in a row from one network or one device.
const PER_PLACE: TokenBucket = TokenBucket { capacity: 20, interval: Duration::from_secs(15) };
/// Failures of all accounts from one network, which many may share.
const PER_NETWORK: TokenBucket = TokenBucket { capacity: 100, interval: Duration::from_secs(3) };
/// Failures of one account from all networks without an earlier login of it.
const PER_ACCOUNT: TokenBucket = TokenBucket { capacity: 500, interval: Duration::from_secs(5) };
/// How long a network counts as known after a login.
const KNOWN_NETWORK_TTL: Duration = Duration::from_hours(30 * 24);
/// The number of entries at which stale ones are removed.
const CLEANUP_THRESHOLD: usize = 100_000;

#[derive(Debug, Clone, Copy)]
struct TokenBucket {
    capacity: u32,
    /// Time until one token is added.
    interval: Duration,
}

/// The digest of the token that identifies a device.
pub(crate) type Device = [u8; 32];

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum BucketKey {
    Device(String, Device),
    Pair(String, IpAddr),
    Network(IpAddr),
    Account(String),
}

impl BucketKey {
    const fn bucket(&self) -> TokenBucket {
        match self {
            Self::Device(..) | Self::Pair(..) => PER_PLACE,
            Self::Network(_) => PER_NETWORK,
            Self::Account(_) => PER_ACCOUNT,
        }
    }
}

/// A login attempt: the account, and where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    account: String,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Device(Device),
    Network(IpAddr),
}

impl Attempt {
    /// An attempt of a caller with an earlier token of the account.
    pub(crate) fn of_device(account: &str, device: Device) -> Self {
        Self { account: account.to_owned(), source: Source::Device(device) }
    }

    /// An attempt of any other caller. All addresses of an IPv6 /64 network count as one.
    pub(crate) fn from_address(account: &str, address: IpAddr) -> Self {
        let network = match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
        };
        Self { account: account.to_owned(), source: Source::Network(network) }
    }

    fn keys(&self, known: bool) -> Vec<BucketKey> {
        let account = || self.account.clone();
        match self.source {
            Source::Device(device) => vec![BucketKey::Device(account(), device)],
            Source::Network(network) => {
                let mut keys = vec![BucketKey::Pair(account(), network), BucketKey::Network(network)];
                if !known {
                    keys.push(BucketKey::Account(account()));
                }
                keys
            }
        }
    }
}

/// Limits login attempts.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<Buckets>);

#[derive(Debug, Default)]
struct Buckets {
    full_at: HashMap<BucketKey, Timestamp>,
    /// Networks from which accounts have logged in, with the expiry.
    known_networks: HashMap<(String, IpAddr), Timestamp>,
    /// The number of entries at which the next cleanup is due.
    cleanup_at: usize,
}

impl Throttle {
    /// Takes a token for an attempt, or returns how long to wait for the next.
    pub(crate) fn attempt(&self, attempt: &Attempt, now: Timestamp) -> Result<(), Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(attempt, now)
    }

    /// Returns the tokens of a successful attempt, and marks the network as known.
    pub(crate) fn succeeded(&self, attempt: &Attempt, now: Timestamp) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.refund(attempt, now);
        if let Source::Network(network) = attempt.source {
            buckets.known_networks.insert((attempt.account.clone(), network), now + KNOWN_NETWORK_TTL);
        }
    }

    /// Returns the tokens of an attempt whose outcome is unknown.
    pub(crate) fn undecided(&self, attempt: &Attempt, now: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).refund(attempt, now);
    }
}

impl Buckets {
    fn take(&mut self, attempt: &Attempt, now: Timestamp) -> Result<(), Duration> {
        let keys = attempt.keys(self.is_known_network(attempt, now));
        let wait = keys.iter().filter_map(|key| {
            let until = self.full_at.get(key)?;
            let TokenBucket { capacity, interval } = key.bucket();
            let earliest = *until - interval * (capacity - 1);
            (earliest > now).then(|| earliest.since(now))
        });
        if let Some(wait) = wait.max() {
            return Err(wait);
        }
        self.clean_up(now);
        for key in keys {
            let interval = key.bucket().interval;
            let until = self.full_at.entry(key).or_insert(now);
            *until = (*until).max(now) + interval;
        }
        Ok(())
    }

    fn refund(&mut self, attempt: &Attempt, now: Timestamp) {
        for key in attempt.keys(self.is_known_network(attempt, now)) {
            let interval = key.bucket().interval;
            if let Some(until) = self.full_at.get_mut(&key) {
                *until = *until - interval;
            }
        }
    }

    fn is_known_network(&self, attempt: &Attempt, now: Timestamp) -> bool {
        let Source::Network(network) = attempt.source else { return false };
        let until = self.known_networks.get(&(attempt.account.clone(), network));
        until.is_some_and(|until| *until > now)
    }

    /// Removes full buckets and expired networks. The rate of password hashing bounds the entries that are left; the
    /// threshold grows with them, so that the cleanup does not run at every attempt.
    fn clean_up(&mut self, now: Timestamp) {
        if self.full_at.len() + self.known_networks.len() < self.cleanup_at.max(CLEANUP_THRESHOLD) {
            return;
        }
        self.full_at.retain(|_, until| *until > now);
        self.known_networks.retain(|_, until| *until > now);
        self.cleanup_at = 2 * (self.full_at.len() + self.known_networks.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn start() -> Timestamp {
        Timestamp::from_unix_micros(1_900_000_000_000_000)
    }

    fn here(account: &str) -> Attempt {
        Attempt::from_address(account, HERE)
    }

    /// Attempts logins until the limit is reached. Returns their number.
    fn exhaust(throttle: &Throttle, attempt: &Attempt) -> usize {
        (0..100_000).take_while(|_| throttle.attempt(attempt, start()).is_ok()).count()
    }

    #[test]
    fn tokens_refill_with_time() {
        let (throttle, now) = (Throttle::default(), start());
        assert_eq!(exhaust(&throttle, &here("ann")), 20);
        assert_eq!(throttle.attempt(&here("ann"), now), Err(PER_PLACE.interval));
        throttle.attempt(&here("raj"), now).expect("another account has its own bucket");
        let later = now + PER_PLACE.interval;
        throttle.attempt(&here("ann"), later).expect("one token was added");
        assert!(throttle.attempt(&here("ann"), later).is_err());
    }

    #[test]
    fn successful_logins_take_no_tokens() {
        let throttle = Throttle::default();
        for _ in 0..1000 {
            throttle.attempt(&here("ann"), start()).unwrap();
            throttle.succeeded(&here("ann"), start());
        }
        assert_eq!(exhaust(&throttle, &here("ann")), 20);
    }

    #[test]
    fn network_with_many_accounts_is_limited() {
        let throttle = Throttle::default();
        let network = |last: u16| IpAddr::from([0x2001, 0xdb8, 1, 2, 9, 9, 9, last]);
        let tried = (0..1000).take_while(|number| {
            let attempt = Attempt::from_address(&format!("user-{number}"), network(*number));
            throttle.attempt(&attempt, start()).is_ok()
        });
        assert_eq!(tried.count(), PER_NETWORK.capacity as usize);
    }

    #[test]
    fn guesses_of_strangers_do_not_lock_out_the_owner() {
        let (throttle, device) = (Throttle::default(), Attempt::of_device("ann", [7; 32]));
        throttle.succeeded(&here("ann"), start());
        for number in 0..200 {
            exhaust(&throttle, &Attempt::from_address("ann", IpAddr::from([192, 0, 2, number])));
        }
        let elsewhere = Attempt::from_address("ann", IpAddr::from([198, 51, 100, 1]));
        assert!(throttle.attempt(&elsewhere, start()).is_err(), "all unknown networks share a limit");
        throttle.attempt(&here("ann"), start()).expect("ann has logged in from here before");
        exhaust(&throttle, &here("ann"));
        for number in 0..200 {
            exhaust(&throttle, &here(&format!("user-{number}")));
        }
        throttle.attempt(&device, start()).expect("a token of ann has its own bucket");
        assert_eq!(exhaust(&throttle, &device), 19, "this bucket is limited, too");
    }

    #[test]
    fn stale_entries_are_removed() {
        let throttle = Throttle::default();
        let address = |number: u32| IpAddr::from(number.to_be_bytes());
        for number in 0..33_334 {
            let attempt = Attempt::from_address(&format!("user-{number}"), address(number));
            throttle.attempt(&attempt, start()).unwrap();
        }
        throttle.attempt(&here("ann"), start() + Duration::from_secs(60)).unwrap();
        assert_eq!(throttle.0.lock().unwrap().full_at.len(), 3);
    }
}
