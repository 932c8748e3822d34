//! Forgetting what is long over.

use async_trait::async_trait;
use mitosis_domain::ids::TaskId;
use mitosis_protocol::Timestamp;

use crate::StoreError;

/// What one round of [`Retention::forget_tasks`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Tasks that are gone.
    pub tasks: u64,
    /// Where the next round goes on; `None` when nothing further can be old enough.
    pub next: Option<TaskId>,
}

/// Forgetting what is long over. Every operation may be called by any coordinator at any time; two that
/// do so at once share the work.
#[async_trait]
pub trait Retention {
    /// Looks at up to `limit` ended tasks after `after`, in the order of submission, and removes those
    /// that ended before `ended_before`: the task, its result, labels and archives. What it stored is
    /// given back to its group, and the objects are garbage from `now` on.
    ///
    /// A task stays while a task that has not ended needs it: as its upstream, for an archive among its
    /// resources, or to watch it. It also stays while one of its archives was touched at or after
    /// `ended_before`.
    async fn forget_tasks(
        &self,
        ended_before: Timestamp,
        after: Option<TaskId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Forgotten, StoreError>;

    /// Forgets up to `limit` idempotency keys of submissions before `submitted_before`; answers how many.
    async fn forget_submissions(&self, submitted_before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Deletes up to `limit` notes on workers that were gone before `gone_before`; answers how many.
    async fn delete_departures(&self, gone_before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
