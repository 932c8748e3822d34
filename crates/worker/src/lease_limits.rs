//! The time limits that follow from lease terms.

use std::time::Duration;

/// How long an attempt may run without a renewal: to the end of the lease, or to its own limit. No coordinator
/// requeues a task before the worker is missed.
pub(crate) fn length(lease: Duration, missed_after: Duration, limit: Option<Duration>) -> Duration {
    limit.map_or(lease, |limit| limit.max(missed_after).min(lease))
}

/// How much earlier a lease expires here than at the coordinator.
pub(crate) fn margin(length: Duration) -> Duration {
    (length / 10).min(Duration::from_secs(10))
}
