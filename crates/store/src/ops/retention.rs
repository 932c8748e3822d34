//! Deletion of old tasks and records.

use async_trait::async_trait;
use mitosis_domain::ids::TaskId;
use mitosis_protocol::Timestamp;

use crate::StoreError;

/// The outcome of one round of [`Retention::delete_ended_tasks`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeletedTasks {
    /// The number of deleted tasks.
    pub tasks: u64,
    /// The task after which the next round continues; `None` if no later task can be old enough.
    pub next: Option<TaskId>,
}

/// Operations that delete old tasks and records. Any coordinator may call them at any time; concurrent calls
/// share the work.
#[async_trait]
pub trait Retention {
    /// Examines up to `limit` ended tasks after `after`, in the order of submission, and deletes those that
    /// ended before `ended_before`: the task, its result, labels and archives. Their sizes are released, and
    /// the objects are garbage from `now` on.
    ///
    /// A task stays while a task that has not ended needs it: as its upstream, for an archive among its
    /// resources, or to watch it. It also stays if one of its archives was changed at or after `ended_before`.
    async fn delete_ended_tasks(
        &self,
        ended_before: Timestamp,
        after: Option<TaskId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<DeletedTasks, StoreError>;

    /// Deletes up to `limit` idempotency keys of submissions before `submitted_before`; returns their number.
    async fn delete_submissions(&self, submitted_before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Deletes up to `limit` records of workers that were removed before `gone_before`; returns their number.
    async fn delete_departures(&self, gone_before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
