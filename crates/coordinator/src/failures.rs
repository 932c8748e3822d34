//! What goes to the log about requests that failed for the service's own reasons.
//!
//! While the database or the object store is away, every request fails alike, and any caller can make many: one line
//! stands for all of them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A line about an outage stands for so long.
const PERIOD: Duration = Duration::from_secs(10);

/// Why a request failed; travels with its response.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// The whole chain.
    pub(crate) cause: String,
    /// It passes by itself.
    pub(crate) is_outage: bool,
}

/// When an outage was last written down, and how many requests failed since.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<(Option<Instant>, u64)>);

impl Failures {
    /// Writes down why a request failed. A defect is always written down: the answer refers to it.
    pub(crate) fn note(&self, request: &str, failure: &Failure) {
        let cause = &failure.cause;
        if !failure.is_outage {
            tracing::error!(request, cause, "a request failed");
        } else if let Some(others) = self.others() {
            tracing::warn!(
                request,
                cause,
                others,
                "a request failed, as others did; it may work in a moment"
            );
        }
    }

    /// How many outages were not written down before this one; `None` for one that is not written down either.
    fn others(&self) -> Option<u64> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.0.is_some_and(|at| at.elapsed() < PERIOD) {
            noted.1 += 1;
            return None;
        }
        let others = noted.1;
        *noted = (Some(Instant::now()), 0);
        Some(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_stands_for_the_outages_of_a_while() {
        let failures = Failures::default();
        assert_eq!(failures.others(), Some(0));
        for _ in 0..254 {
            assert_eq!(failures.others(), None);
        }
        tokio::time::advance(PERIOD).await;
        assert_eq!(failures.others(), Some(254));
        assert_eq!(failures.others(), None);
    }
}
