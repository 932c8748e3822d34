//! Automatic retries, as options and job files write them.

use std::str::FromStr;
use std::time::Duration;

use mitosis_protocol::duration;
use mitosis_protocol::retry::{MAX_BACKOFF, MAX_RETRIES, RetryCause, RetryPolicy};
use serde::{Deserialize, Serialize};

use super::error::Error;

/// The waits between attempts: `5s..5m` doubles from the first to the longest, `30s` stays the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Default for Backoff {
    /// `1s..5m`.
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_mins(5) }
    }
}

/// A text that is not a backoff.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBackoff {
    /// It has another form.
    #[error("invalid backoff `{0}`: expected a duration such as 30s, or two such as 5s..5m")]
    Form(String),
    /// It begins after its end.
    #[error("invalid backoff `{0}`: the first wait is longer than the longest")]
    Order(String),
    /// It is too long.
    #[error("invalid backoff `{0}`: the longest wait is {longest}", longest = duration::short(MAX_BACKOFF))]
    Length(String),
}

impl FromStr for Backoff {
    type Err = InvalidBackoff;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, longest) = text.split_once("..").unwrap_or((text, text));
        let parsed = |text: &str| duration::parse(text).ok();
        match (parsed(first), parsed(longest)) {
            (Some(_), Some(longest)) if longest > MAX_BACKOFF => Err(InvalidBackoff::Length(text.to_owned())),
            (Some(first), Some(longest)) if first <= longest => Ok(Self { first, longest }),
            (Some(_), Some(_)) => Err(InvalidBackoff::Order(text.to_owned())),
            _ => Err(InvalidBackoff::Form(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Backoff {
    type Error = InvalidBackoff;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Backoff> for String {
    fn from(Backoff { first, longest }: Backoff) -> Self {
        match first == longest {
            true => duration::short(first),
            false => format!("{}..{}", duration::short(first), duration::short(longest)),
        }
    }
}

/// The policy of a number of retries; none without one. Causes and waits without a number are an error.
pub fn policy(
    retries: Option<u32>,
    on: &[RetryCause],
    backoff: Option<Backoff>,
) -> Result<Option<RetryPolicy>, Error> {
    let Backoff { first, longest } = backoff.unwrap_or_default();
    match retries {
        Some(retries @ 1..=MAX_RETRIES) => {
            Ok(Some(RetryPolicy { retries, on: on.to_vec(), backoff: first, max_backoff: longest }))
        }
        Some(1..) => Err(Error::input(format!("a task can have at most {MAX_RETRIES} retries"))),
        None if !on.is_empty() || backoff.is_some() => {
            Err(Error::input("a cause or a wait for retries needs their number")
                .with_hint("add --retries N, or `retries` in a job file"))
        }
        Some(0) | None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_is_one_wait_or_two() {
        let waits = |text: &str| text.parse::<Backoff>().map(|backoff| (backoff.first, backoff.longest));
        let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
        assert_eq!(waits("1s..1m"), Ok((second, minute)));
        assert_eq!(waits("1m"), Ok((minute, minute)));
        assert_eq!(waits("0s"), Ok((Duration::ZERO, Duration::ZERO)));
        for wrong in ["", "5", "..", "5s..", "..5m", "5s...5m", "5s-5m"] {
            assert!(matches!(waits(wrong), Err(InvalidBackoff::Form(_))), "{wrong}");
        }
        assert!(matches!(waits("5m..5s"), Err(InvalidBackoff::Order(_))));
        assert!(matches!(waits("5s..8d"), Err(InvalidBackoff::Length(_))));
        assert_eq!(String::from("1s..1m".parse::<Backoff>().unwrap()), "1s..1m");
    }

    #[test]
    fn policy_needs_a_number() {
        let default = policy(Some(3), &[], None).unwrap().unwrap();
        let (first, longest) = (Duration::from_secs(1), Duration::from_mins(5));
        assert_eq!((default.retries, default.backoff, default.max_backoff), (3, first, longest));
        assert_eq!(policy(None, &[], None).unwrap(), None);
        assert_eq!(policy(Some(0), &[RetryCause::Timeout], None).unwrap(), None);
        assert!(policy(None, &[RetryCause::Timeout], None).is_err());
        assert!(policy(None, &[], Some(Backoff::default())).is_err());
        assert!(policy(Some(1_001), &[], None).is_err());
    }
}
