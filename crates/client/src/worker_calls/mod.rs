//! The calls of a worker (HTTP contract §12).

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

/// How long a worker may be silent. A native coordinator sends this with each reply to a registration or a
/// heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTerms {
    /// Silence after which its tasks are requeued.
    pub lease: Duration,
    /// Silence after which it is missed and gets no new tasks. Equal to `lease` for an older coordinator, which
    /// has one limit.
    pub missed_after: Duration,
    /// Whether the coordinator has separate limits, and gives the reason when it refuses a worker.
    pub gives_reasons: bool,
}

/// The lease terms in the headers of a reply.
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
