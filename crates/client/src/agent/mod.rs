//! What a worker says for itself (HTTP contract §12).

mod fetch;
mod heartbeat;
mod output;
mod poll;
mod report;
mod report_batch;
mod resources;
mod sign_off;
pub(crate) mod token;

use std::time::Duration;

/// How long a worker may be silent, as a coordinator of ours says with each reply to a registration or a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTerms {
    /// After this much silence its tasks are given to others.
    pub lease: Duration,
    /// After this much silence it counts as missed, and gets no new tasks. The same as `lease` where an older
    /// coordinator does not tell them apart.
    pub missed_after: Duration,
    /// Whether the coordinator tells the two apart, and gives the reason when it refuses a worker.
    pub gives_reasons: bool,
}

/// The terms in the headers of a reply.
pub(crate) fn terms(response: &reqwest::Response) -> Option<LeaseTerms> {
    let seconds = |name| {
        let seconds = response.headers().get(name)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    };
    let lease = seconds("x-mito-lease")?;
    let missed_after = seconds("x-mito-missed-after");
    let gives_reasons = missed_after.is_some();
    Some(LeaseTerms { lease, missed_after: missed_after.unwrap_or(lease), gives_reasons })
}
