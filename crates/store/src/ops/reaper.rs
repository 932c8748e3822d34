//! Monitoring of leases, and requeuing of the tasks of lost workers.

use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::lease::{LeaseClock, LeaseTime, Moment};
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use crate::StoreError;
use crate::ops::Changed;

/// An observation of the lease clock.
#[derive(Debug, Clone, Copy)]
pub struct LeaseObservation {
    /// The time on the wall clock; none for that of the database, which makes coordinators independent of their
    /// own clocks.
    pub now: Option<Timestamp>,
    /// Time beyond this without an observation by any coordinator does not count.
    pub standstill: Duration,
    /// The upper bound of the lease time, according to a steady clock of the caller.
    pub at_most: Option<LeaseTime>,
}

/// The state of the leases at an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseStatus {
    /// The time on the wall clock of the observation.
    pub now: Timestamp,
    /// The lease clock.
    pub clock: LeaseClock,
    /// By how many microseconds the lease clock was set back: time that does not count, and the time to
    /// reconnect. Negative if the wall clock was set back.
    pub skipped: i64,
    /// The number of missed workers.
    pub missed: u64,
    /// Whether [`Reaper::reap`] may find something.
    pub due: bool,
}

impl LeaseStatus {
    /// Whether records may be deleted by their age; see [`LeaseClock::is_settled`].
    pub fn is_settled(&self) -> bool {
        self.clock.is_settled(self.now)
    }

    /// The lease time of the observation.
    pub fn time(&self) -> LeaseTime {
        self.clock.time(self.now)
    }
}

/// A worker that was reaped, or lost some of its attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaped {
    /// The worker.
    pub worker: Uuid,
    /// The reason, which decides whether the worker was removed.
    pub reason: ReapReason,
    /// Tasks that are Ready again, or cancelled if a user requested a stop or too many attempts are lost.
    pub returned: Vec<Uuid>,
}

/// The reason for a reap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReapReason {
    /// The worker sent no heartbeat during its lease; it is removed.
    Silent,
    /// A task exceeded its timeout and the grace period; the worker is removed.
    Overdue,
    /// The worker was silent for longer than these tasks allow; it stays registered and keeps the others.
    TaskLimit,
}

/// Operations that monitor leases and reap workers.
#[async_trait]
pub trait Reaper {
    /// Advances the lease clock and records the observation. Any coordinator may call this at any time.
    async fn monitor_leases(&self, look: LeaseObservation) -> Result<LeaseStatus, StoreError>;

    /// Removes up to `limit` workers whose lease has expired, or that hold a Running task for longer than its
    /// timeout plus the allowances in `mitosis_domain::limits`. From workers that are silent for longer than
    /// some of their tasks allow, it takes these attempts. The tasks are Ready again, at their old position,
    /// and Pending follow-ups of the lost attempts are deleted. The conditions are tested inside the write, so
    /// any coordinator may call this at any time, repeatedly.
    async fn reap(&self, at: Moment, limit: u32) -> Result<Changed<Vec<Reaped>>, StoreError>;
}
