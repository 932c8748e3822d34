//! What is done to many tasks is done in portions, one transaction each, between which others have their turn.

use std::time::Duration;

use mitosis_protocol::{ErrorCode, Uuid};
use tokio::time::Instant;

use crate::app::App;
use crate::error::{ApiError, Refusal, chain};
use crate::shares::Requests;

/// Tasks in one transaction: a busy worker has about as much to do as this takes.
pub(super) const PORTION: usize = 1_000;
/// While others are served, a pause is this many times as long as the portion before it.
const PAUSE_FACTOR: u32 = 5;
/// Longest pause between two portions.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Spaces the portions of one change, so that others keep most of their rate. Alone it costs nothing.
pub(in crate::api::user) struct Pace<'a> {
    requests: &'a Requests,
    begun: Instant,
    before: u64,
}

impl<'a> Pace<'a> {
    /// Notes that a portion begins.
    pub(in crate::api::user) fn begin(requests: &'a Requests) -> Self {
        Self { requests, begun: Instant::now(), before: requests.count() }
    }

    /// Waits after a portion if other requests came in meanwhile.
    pub(in crate::api::user) async fn rest(self) {
        if self.requests.count() != self.before {
            tokio::time::sleep((self.begun.elapsed() * PAUSE_FACTOR).min(LONGEST_PAUSE)).await;
        }
    }
}

/// Wakes everyone who waits for tasks that have been cancelled.
pub(in crate::api::user) fn announce(app: &App, cancelled: &[Uuid]) {
    app.changed.notify();
    for task in cancelled {
        app.output.changed(*task);
    }
}

/// The answer when the database went away after some portions; `done` says what became of so many tasks.
pub(super) fn interrupted(error: ApiError, count: usize, done: &str) -> ApiError {
    if count == 0 || !error.is_outage() {
        return error;
    }
    tracing::warn!(cause = chain(&error), count, "an operation on many tasks was interrupted");
    let sentence =
        format!("the database can't be reached; {count} tasks were {done} before, the others were not");
    Refusal::new(ErrorCode::Unavailable, sentence)
        .hint("try again in a moment, for those that are left")
        .into()
}

#[cfg(test)]
mod tests {
    use mitosis_store::StoreError;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn portion_is_followed_by_a_pause_only_beside_others() {
        let requests = Requests::default();
        for (others, spent, pause) in [(false, 10, 0), (true, 10, 50), (true, 5_000, 1_000)] {
            let pace = Pace::begin(&requests);
            tokio::time::advance(Duration::from_millis(spent)).await;
            if others {
                requests.add();
            }
            let rested = Instant::now();
            pace.rest().await;
            assert_eq!(rested.elapsed(), Duration::from_millis(pause), "after {spent} ms");
        }
    }

    #[test]
    fn interruption_says_how_many_were_done() {
        let outage = || ApiError::from(StoreError::Unavailable("cause".into()));
        let told = interrupted(outage(), 5000, "cancelled").to_string();
        assert!(told.contains("5000 tasks were cancelled before"), "{told}");
        assert!(interrupted(outage(), 0, "cancelled").is_outage(), "nothing was done");
        let defect = ApiError::from(StoreError::Unexpected("cause".into()));
        assert!(matches!(interrupted(defect, 1, "cancelled"), ApiError::Store(_)));
    }
}
