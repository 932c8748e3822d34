//! Taking tasks back from workers that are gone.

use async_trait::async_trait;
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use crate::Fault;

/// A worker that was removed, and what became of its tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaped {
    /// The worker.
    pub worker: Uuid,
    /// Why.
    pub reason: ReapReason,
    /// Tasks that are Ready again, or cancelled, where a user had asked for a stop.
    pub returned: Vec<Uuid>,
}

/// Why a worker was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReapReason {
    /// It gave no sign of life for the lease time.
    Silent,
    /// A task ran past its timeout and grace.
    Overdue,
}

/// Taking tasks back.
#[async_trait]
pub trait Reaper {
    /// Removes up to `limit` workers whose lease is over, or that hold a Running task for longer than
    /// its timeout plus the allowances in `mitosis_domain::limits`; their tasks are Ready again, in
    /// their old place, and Pending follow-ups of the lost attempts are gone. Whether a lease is over
    /// is tested inside the write, so any coordinator may call this at any time, and twice.
    async fn reap(&self, now: Timestamp, limit: u32) -> Result<Vec<Reaped>, Fault>;

    /// Gives every registered worker a whole lease from `now`, each as long as its last one: after a
    /// start or an outage, nobody is declared dead for time in which it could not report.
    async fn extend_all_leases(&self, now: Timestamp) -> Result<u64, Fault>;
}
