//! How often a login may fail.
//!
//! Every attempt takes a token from some buckets and gets it back if the password was right. Buckets refill with
//! time. A caller who shows an access token of the account has a bucket of its own, and the others have one for each
//! account and network: the guesses of a stranger never use up the tokens of the owner. Each coordinator counts for
//! itself; several of them allow the sum. The algorithm is GCRA: a bucket is stored as the time at which it is full.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mitosis_protocol::Timestamp;

/// Failures in a row that an account stands from one network or one device.
const PER_PLACE: TokenBucket = TokenBucket { capacity: 20, interval: Duration::from_secs(15) };
/// Failures of all accounts from one network, which many may share.
const PER_NETWORK: TokenBucket = TokenBucket { capacity: 100, interval: Duration::from_secs(3) };
/// Failures of one account from all networks that it never logged in from.
const PER_ACCOUNT: TokenBucket = TokenBucket { capacity: 500, interval: Duration::from_secs(5) };
/// How long a network is remembered after a login.
const FAMILIAR: Duration = Duration::from_hours(30 * 24);
/// Entries at which those that mean nothing any more are looked for.
const MANY: usize = 100_000;

#[derive(Debug, Clone, Copy)]
struct TokenBucket {
    capacity: u32,
    /// Time until one token is added.
    interval: Duration,
}

/// A digest of the token that a device has.
pub(crate) type Device = [u8; 32];

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Owner {
    Device(String, Device),
    Pair(String, IpAddr),
    Network(IpAddr),
    Account(String),
}

impl Owner {
    const fn bucket(&self) -> TokenBucket {
        match self {
            Self::Device(..) | Self::Pair(..) => PER_PLACE,
            Self::Network(_) => PER_NETWORK,
            Self::Account(_) => PER_ACCOUNT,
        }
    }
}

/// Who tries to log in to which account, and from where.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    account: String,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Device(Device),
    Network(IpAddr),
}

impl Attempt {
    /// Of a caller who shows an earlier token of the account.
    pub(crate) fn of_device(account: &str, device: Device) -> Self {
        Self { account: account.to_owned(), place: Place::Device(device) }
    }

    /// Of any other caller. A network of IPv6 counts as one address: everybody has many.
    pub(crate) fn from_address(account: &str, address: IpAddr) -> Self {
        let network = match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
        };
        Self { account: account.to_owned(), place: Place::Network(network) }
    }

    fn owners(&self, familiar: bool) -> Vec<Owner> {
        let account = || self.account.clone();
        match self.place {
            Place::Device(device) => vec![Owner::Device(account(), device)],
            Place::Network(network) => {
                let mut owners = vec![Owner::Pair(account(), network), Owner::Network(network)];
                if !familiar {
                    owners.push(Owner::Account(account()));
                }
                owners
            }
        }
    }
}

/// Counts attempts.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<Buckets>);

#[derive(Debug, Default)]
struct Buckets {
    full_at: HashMap<Owner, Timestamp>,
    /// Networks that accounts logged in from, and until when that counts.
    familiar: HashMap<(String, IpAddr), Timestamp>,
    /// Entries at which the next look for stale ones is due.
    tidy_at: usize,
}

impl Throttle {
    /// Takes a token for an attempt, or returns how long to wait for the next.
    pub(crate) fn attempt(&self, attempt: &Attempt, now: Timestamp) -> Result<(), Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(attempt, now)
    }

    /// The password was right: gives the tokens back, and remembers the network.
    pub(crate) fn succeeded(&self, attempt: &Attempt, now: Timestamp) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.refund(attempt, now);
        if let Place::Network(network) = attempt.place {
            buckets.familiar.insert((attempt.account.clone(), network), now + FAMILIAR);
        }
    }

    /// Gives the tokens of an undecided attempt back.
    pub(crate) fn undecided(&self, attempt: &Attempt, now: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).refund(attempt, now);
    }
}

impl Buckets {
    fn take(&mut self, attempt: &Attempt, now: Timestamp) -> Result<(), Duration> {
        let owners = attempt.owners(self.is_familiar(attempt, now));
        let wait = owners.iter().filter_map(|owner| {
            let until = self.full_at.get(owner)?;
            let TokenBucket { capacity, interval } = owner.bucket();
            let earliest = *until - interval * (capacity - 1);
            (earliest > now).then(|| earliest.since(now))
        });
        if let Some(wait) = wait.max() {
            return Err(wait);
        }
        self.tidy(now);
        for owner in owners {
            let interval = owner.bucket().interval;
            let until = self.full_at.entry(owner).or_insert(now);
            *until = (*until).max(now) + interval;
        }
        Ok(())
    }

    fn refund(&mut self, attempt: &Attempt, now: Timestamp) {
        for owner in attempt.owners(self.is_familiar(attempt, now)) {
            let interval = owner.bucket().interval;
            if let Some(until) = self.full_at.get_mut(&owner) {
                *until = *until - interval;
            }
        }
    }

    fn is_familiar(&self, attempt: &Attempt, now: Timestamp) -> bool {
        let Place::Network(network) = attempt.place else { return false };
        let until = self.familiar.get(&(attempt.account.clone(), network));
        until.is_some_and(|until| *until > now)
    }

    /// Removes full buckets and old logins. Nobody can add more than the hashing of passwords lets through,
    /// so that what is left is bounded; the mark moves up so that it isn't looked at over and over.
    fn tidy(&mut self, now: Timestamp) {
        if self.full_at.len() + self.familiar.len() < self.tidy_at.max(MANY) {
            return;
        }
        self.full_at.retain(|_, until| *until > now);
        self.familiar.retain(|_, until| *until > now);
        self.tidy_at = 2 * (self.full_at.len() + self.familiar.len());
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

    /// Tries until it may not; answers how often it could.
    fn exhaust(throttle: &Throttle, attempt: &Attempt) -> usize {
        (0..100_000).take_while(|_| throttle.attempt(attempt, start()).is_ok()).count()
    }

    #[test]
    fn failures_are_counted_and_forgotten_with_time() {
        let (throttle, now) = (Throttle::default(), start());
        assert_eq!(exhaust(&throttle, &here("ann")), 20);
        assert_eq!(throttle.attempt(&here("ann"), now), Err(PER_PLACE.interval));
        throttle.attempt(&here("raj"), now).expect("another account is free to try");
        let later = now + PER_PLACE.interval;
        throttle.attempt(&here("ann"), later).expect("one token is back");
        assert!(throttle.attempt(&here("ann"), later).is_err());
    }

    #[test]
    fn right_passwords_cost_nothing() {
        let throttle = Throttle::default();
        for _ in 0..1000 {
            throttle.attempt(&here("ann"), start()).unwrap();
            throttle.succeeded(&here("ann"), start());
        }
        assert_eq!(exhaust(&throttle, &here("ann")), 20);
    }

    #[test]
    fn network_that_tries_many_accounts_is_stopped() {
        let throttle = Throttle::default();
        let network = |last: u16| IpAddr::from([0x2001, 0xdb8, 1, 2, 9, 9, 9, last]);
        let tried = (0..1000).take_while(|number| {
            let attempt = Attempt::from_address(&format!("user-{number}"), network(*number));
            throttle.attempt(&attempt, start()).is_ok()
        });
        assert_eq!(tried.count(), PER_NETWORK.capacity as usize);
    }

    #[test]
    fn strangers_guesses_leave_the_owner_alone() {
        let (throttle, device) = (Throttle::default(), Attempt::of_device("ann", [7; 32]));
        throttle.succeeded(&here("ann"), start());
        for number in 0..200 {
            exhaust(&throttle, &Attempt::from_address("ann", IpAddr::from([192, 0, 2, number])));
        }
        let elsewhere = Attempt::from_address("ann", IpAddr::from([198, 51, 100, 1]));
        assert!(throttle.attempt(&elsewhere, start()).is_err(), "all strangers together are bounded");
        throttle.attempt(&here("ann"), start()).expect("ann logged in from here before");
        exhaust(&throttle, &here("ann"));
        for number in 0..200 {
            exhaust(&throttle, &here(&format!("user-{number}")));
        }
        throttle.attempt(&device, start()).expect("a token of ann's counts for itself, wherever it is");
        assert_eq!(exhaust(&throttle, &device), 19, "and is bounded, too");
    }

    #[test]
    fn stale_entries_are_forgotten() {
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
