//! The limit on the run time of a command.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::MAX_TIMEOUT;
use crate::spec::InvalidSpec;

/// The limit on the run time of a command, in whole seconds; at most [`MAX_TIMEOUT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Timeout {
    seconds: u32,
}

/// A number of seconds that no timeout has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task can't have a timeout of {0} seconds")]
pub struct InvalidTimeout(i64);

impl Timeout {
    /// Checks a timeout, and drops fractions of a second.
    pub fn new(timeout: Duration) -> Result<Self, InvalidSpec> {
        if timeout > MAX_TIMEOUT {
            return Err(InvalidSpec::TimeoutTooLong);
        }
        let seconds = u32::try_from(timeout.as_secs()).map_err(|_| InvalidSpec::TimeoutTooLong)?;
        Ok(Self { seconds })
    }

    /// The number of seconds.
    pub const fn as_secs(self) -> i64 {
        self.seconds as i64
    }
}

impl TryFrom<i64> for Timeout {
    type Error = InvalidTimeout;

    fn try_from(seconds: i64) -> Result<Self, InvalidTimeout> {
        let invalid = InvalidTimeout(seconds);
        let length = u64::try_from(seconds).map(Duration::from_secs).map_err(|_| invalid)?;
        Self::new(length).map_err(|_| invalid)
    }
}

impl From<Timeout> for i64 {
    fn from(timeout: Timeout) -> Self {
        timeout.as_secs()
    }
}

impl From<Timeout> for Duration {
    fn from(timeout: Timeout) -> Self {
        Self::from_secs(timeout.seconds.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeout_beyond_the_limit_is_refused() {
        assert_eq!(Timeout::new(Duration::from_secs(u64::MAX / 2)), Err(InvalidSpec::TimeoutTooLong));
        assert_eq!(Timeout::new(MAX_TIMEOUT + Duration::from_millis(1)), Err(InvalidSpec::TimeoutTooLong));
        assert_eq!(Timeout::new(MAX_TIMEOUT).map(Duration::from), Ok(MAX_TIMEOUT));
        assert_eq!(Timeout::new(Duration::from_millis(1_999)).map(Timeout::as_secs), Ok(1));
    }

    #[test]
    fn stored_number_outside_the_range_is_refused() {
        for seconds in [0, 90, 3_155_760_000] {
            assert_eq!(Timeout::try_from(seconds).map(i64::from), Ok(seconds));
        }
        for seconds in [-1, 3_155_760_001, i64::MAX] {
            assert_eq!(Timeout::try_from(seconds), Err(InvalidTimeout(seconds)));
        }
    }
}
