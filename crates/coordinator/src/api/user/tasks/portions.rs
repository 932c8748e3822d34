//! What is done to many tasks is done in portions, one transaction each, between which others have their turn.

use mitosis_protocol::{ErrorCode, Uuid};

use crate::app::App;
use crate::error::{ApiError, Refusal, chain};

/// Tasks in one transaction.
pub(super) const PORTION: usize = 5_000;

/// Wakes everyone who waits for tasks that have been cancelled.
pub(in crate::api::user) fn announce(app: &App, cancelled: &[Uuid]) {
    app.news.ring();
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
    use mitosis_store::Fault;

    use super::*;

    #[test]
    fn interruption_says_how_many_were_done() {
        let outage = || ApiError::from(Fault::Unavailable("cause".into()));
        let told = interrupted(outage(), 5000, "cancelled").to_string();
        assert!(told.contains("5000 tasks were cancelled before"), "{told}");
        assert!(interrupted(outage(), 0, "cancelled").is_outage(), "nothing was done");
        let defect = ApiError::from(Fault::Unexpected("cause".into()));
        assert!(matches!(interrupted(defect, 1, "cancelled"), ApiError::Store(_)));
    }
}
