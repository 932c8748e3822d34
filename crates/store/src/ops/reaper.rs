//! Watching over leases, and taking tasks back from workers that are gone.

use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::lease::{LeaseClock, LeaseTime, Moment};
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use crate::StoreError;

/// A look at the time of leases.
#[derive(Debug, Clone, Copy)]
pub struct LeaseLook {
    /// The wall clock to go by; none for that of the database, so that coordinators agree whatever their own clocks
    /// say.
    pub now: Option<Timestamp>,
    /// Time without a look, by any coordinator, that does not count.
    pub standstill: Duration,
    /// Where the time of leases can't be past, by a steady clock of the caller.
    pub at_most: Option<LeaseTime>,
}

/// What a look at the time of leases found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseWatch {
    /// By the clock that the look went by.
    pub now: Timestamp,
    /// Where the time of leases stands.
    pub clock: LeaseClock,
    /// By how many microseconds it was set back in this look: what did not count, and the time to reconnect. Negative
    /// where the wall clock was set back.
    pub skipped: i64,
    /// Workers that were silent for longer than they may be without being missed.
    pub missed: u64,
    /// Whether [`Reaper::reap`] may find something.
    pub due: bool,
}

impl LeaseWatch {
    /// Whether things may be deleted by their age; see [`LeaseClock::is_settled`].
    pub fn is_settled(&self) -> bool {
        self.clock.is_settled(self.now)
    }

    /// The time of leases at the look.
    pub fn time(&self) -> LeaseTime {
        self.clock.time(self.now)
    }
}

/// Attempts that were taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaped {
    /// The worker.
    pub worker: Uuid,
    /// Why, and so what became of the worker.
    pub reason: ReapReason,
    /// Tasks that are Ready again, or cancelled, where a user had asked for a stop or too many attempts are lost.
    pub returned: Vec<Uuid>,
}

/// Why attempts were taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReapReason {
    /// The worker gave no sign of life for its lease; it is removed.
    Silent,
    /// A task ran past its timeout and grace; the worker is removed.
    Overdue,
    /// The worker was silent for longer than these tasks allow; it stays registered, with the others.
    TaskLimit,
}

/// Taking tasks back.
#[async_trait]
pub trait Reaper {
    /// Looks at the time of leases, and notes that they are watched over. Any coordinator may do this at any time.
    async fn watch_leases(&self, look: LeaseLook) -> Result<LeaseWatch, StoreError>;

    /// Removes up to `limit` workers whose lease is over, or that hold a Running task for longer than its timeout plus
    /// the allowances in `mitosis_domain::limits`, and takes single attempts from those that are silent for longer than
    /// their tasks allow. The tasks are Ready again, in their old place, and Pending follow-ups of the lost attempts are
    /// gone. Whether that is so is tested inside the write, so any coordinator may call this at any time, and twice.
    async fn reap(&self, at: Moment, limit: u32) -> Result<Vec<Reaped>, StoreError>;
}
