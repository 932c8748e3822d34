//! How often somebody may fail to log in.
//!
//! Every attempt takes a piece from two purses, one of the account and one of the address, and gets it
//! back if the password was right. Purses fill up again with time. What is counted is this coordinator's
//! own; several of them allow as much as all of their purses hold.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mitosis_protocol::Timestamp;

/// Failures in a row that an account stands.
const PER_ACCOUNT: Purse = Purse { size: 20, refill: Duration::from_secs(15) };
/// The same for an address, which many may share.
const PER_ADDRESS: Purse = Purse { size: 100, refill: Duration::from_secs(3) };
/// Purses that are kept; full ones are forgotten first.
const KEPT: usize = 100_000;

#[derive(Debug, Clone, Copy)]
struct Purse {
    size: u32,
    /// Time in which one piece comes back.
    refill: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Owner {
    Account(String),
    Address(IpAddr),
}

impl Owner {
    const fn purse(&self) -> Purse {
        match self {
            Self::Account(_) => PER_ACCOUNT,
            Self::Address(_) => PER_ADDRESS,
        }
    }
}

/// Counts attempts.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<Owner, Timestamp>>);

impl Throttle {
    /// Takes a piece for an attempt; or how long to wait for the next.
    pub(crate) fn attempt(&self, account: &str, peer: IpAddr, now: Timestamp) -> Result<(), Duration> {
        let owners = owners(account, peer);
        let mut empty_until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = owners.iter().filter_map(|owner| {
            let until = empty_until.get(owner)?;
            let Purse { size, refill } = owner.purse();
            let earliest = *until - refill * (size - 1);
            (earliest > now).then(|| earliest.since(now))
        });
        if let Some(wait) = wait.max() {
            return Err(wait);
        }
        if empty_until.len() >= KEPT {
            empty_until.retain(|_, until| *until > now);
        }
        for owner in owners {
            let refill = owner.purse().refill;
            let until = empty_until.entry(owner).or_insert(now);
            *until = (*until).max(now) + refill;
        }
        Ok(())
    }

    /// Gives the pieces of an attempt back: the password was right.
    pub(crate) fn succeeded(&self, account: &str, peer: IpAddr) {
        let mut empty_until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for owner in owners(account, peer) {
            let refill = owner.purse().refill;
            if let Some(until) = empty_until.get_mut(&owner) {
                *until = *until - refill;
            }
        }
    }
}

/// A network of IPv6 counts as one address: everybody has many.
fn owners(account: &str, peer: IpAddr) -> [Owner; 2] {
    let address = match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    };
    [Owner::Account(account.to_owned()), Owner::Address(address)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn start() -> Timestamp {
        Timestamp::from_unix_micros(1_900_000_000_000_000)
    }

    #[test]
    fn failures_are_counted_and_forgotten_with_time() {
        let (throttle, now) = (Throttle::default(), start());
        for _ in 0..PER_ACCOUNT.size {
            throttle.attempt("ann", HERE, now).unwrap();
        }
        assert_eq!(throttle.attempt("ann", HERE, now), Err(PER_ACCOUNT.refill));
        throttle.attempt("raj", HERE, now).expect("another account is free to try");
        let later = now + PER_ACCOUNT.refill;
        throttle.attempt("ann", HERE, later).expect("one piece is back");
        assert!(throttle.attempt("ann", HERE, later).is_err());
    }

    #[test]
    fn right_passwords_cost_nothing() {
        let throttle = Throttle::default();
        for _ in 0..1000 {
            throttle.attempt("ann", HERE, start()).unwrap();
            throttle.succeeded("ann", HERE);
        }
    }

    #[test]
    fn an_address_that_tries_many_accounts_is_stopped() {
        let throttle = Throttle::default();
        let network = |last: u16| IpAddr::from([0x2001, 0xdb8, 1, 2, 9, 9, 9, last]);
        let tried = (0..1000).take_while(|number| {
            throttle.attempt(&format!("user-{number}"), network(*number), start()).is_ok()
        });
        assert_eq!(tried.count(), PER_ADDRESS.size as usize);
    }
}
