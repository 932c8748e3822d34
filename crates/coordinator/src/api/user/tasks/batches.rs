//! Bulk operations run in batches of one transaction each, with pauses between them for other requests.

use std::time::Duration;

use mitosis_protocol::ErrorCode;
use tokio::time::Instant;

use crate::error::{ApiError, Rejection, chain};
use crate::user_limits::RequestCounter;

/// Tasks in one transaction: it takes about as long as the transactions of a busy worker.
pub(super) const BATCH_SIZE: usize = 1_000;
/// While other requests arrive, a pause is this many times as long as the batch before it.
const PAUSE_FACTOR: u32 = 5;
/// The longest pause between two batches.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Paces the batches of one operation, so that others keep most of their rate. Without others it does not wait.
pub(in crate::api::user) struct Pacer<'a> {
    requests: &'a RequestCounter,
    started: Instant,
    requests_before: u64,
}

impl<'a> Pacer<'a> {
    /// Starts a batch.
    pub(in crate::api::user) fn begin(requests: &'a RequestCounter) -> Self {
        Self { requests, started: Instant::now(), requests_before: requests.count() }
    }

    /// Waits after a batch if other requests have arrived meanwhile.
    pub(in crate::api::user) async fn pause(self) {
        if self.requests.count() != self.requests_before {
            tokio::time::sleep((self.started.elapsed() * PAUSE_FACTOR).min(LONGEST_PAUSE)).await;
        }
    }
}

/// The error when the database fails after some batches. `done` is what happened to `count` tasks before.
pub(in crate::api::user) fn interrupted(error: ApiError, count: usize, done: &str) -> ApiError {
    if count == 0 || !error.is_outage() {
        return error;
    }
    tracing::warn!(cause = chain(&error), count, "an operation on many tasks was interrupted");
    let message = format!("the database can't be reached; {count} tasks were {done}, the others were not");
    Rejection::new(ErrorCode::Unavailable, message)
        .hint("try again in a moment for the remaining tasks")
        .into()
}

#[cfg(test)]
mod tests {
    use mitosis_store::StoreError;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn batches_pause_only_while_others_send_requests() {
        let requests = RequestCounter::default();
        for (others, spent, pause) in [(false, 10, 0), (true, 10, 50), (true, 5_000, 1_000)] {
            let pacer = Pacer::begin(&requests);
            tokio::time::advance(Duration::from_millis(spent)).await;
            if others {
                requests.add();
            }
            let paused = Instant::now();
            pacer.pause().await;
            assert_eq!(paused.elapsed(), Duration::from_millis(pause), "after {spent} ms");
        }
    }

    #[test]
    fn interruption_reports_the_number_of_processed_tasks() {
        let outage = || ApiError::from(StoreError::Unavailable("cause".into()));
        let message = interrupted(outage(), 5000, "cancelled").to_string();
        assert!(message.contains("5000 tasks were cancelled,"), "{message}");
        assert!(interrupted(outage(), 0, "cancelled").is_outage(), "nothing was done");
        let defect = ApiError::from(StoreError::Unexpected("cause".into()));
        assert!(matches!(interrupted(defect, 1, "cancelled"), ApiError::Store(_)));
    }
}
