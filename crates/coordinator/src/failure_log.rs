//! The log of requests that failed because of the service itself.
//!
//! During an outage of the database or the object store, every request fails in the same way. Such failures are logged
//! at most once in a period, with the number of the others.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The period in which an outage is logged at most once.
const PERIOD: Duration = Duration::from_secs(10);

/// Why a request failed; an extension of its response.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// The whole chain of causes.
    pub(crate) cause: String,
    pub(crate) kind: FailureKind,
}

/// Whether a failed request may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// Something that the service needs is unavailable for a while.
    Outage,
    /// A bug, or data that this program can't have written.
    Defect,
}

/// When an outage was last logged, and how many requests have failed since.
#[derive(Debug, Default)]
pub(crate) struct FailureLog(Mutex<(Option<Instant>, u64)>);

impl FailureLog {
    /// Logs why a request failed. A defect is always logged, because the response refers to it.
    pub(crate) fn record(&self, request: &str, failure: &Failure) {
        let cause = &failure.cause;
        match failure.kind {
            FailureKind::Defect => tracing::error!(request, cause, "a request failed"),
            FailureKind::Outage => {
                if let Some(suppressed) = self.count_outage() {
                    tracing::warn!(request, cause, suppressed, "requests fail because of an outage");
                }
            }
        }
    }

    /// Counts a request that failed in an outage. Returns the number of failures that were not logged before this one, or
    /// `None` if this one is not logged either.
    fn count_outage(&self) -> Option<u64> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0.is_some_and(|at| at.elapsed() < PERIOD) {
            last.1 += 1;
            return None;
        }
        let suppressed = last.1;
        *last = (Some(Instant::now()), 0);
        Some(suppressed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn outages_are_logged_once_in_a_period() {
        let log = FailureLog::default();
        assert_eq!(log.count_outage(), Some(0));
        for _ in 0..254 {
            assert_eq!(log.count_outage(), None);
        }
        tokio::time::advance(PERIOD).await;
        assert_eq!(log.count_outage(), Some(254));
        assert_eq!(log.count_outage(), None);
    }
}
