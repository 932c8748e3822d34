//! Deletion of old tasks and records.

use async_trait::async_trait;
use mitosis_domain::ids::{ArtifactId, JobId, TaskId};
use mitosis_protocol::Timestamp;

use crate::StoreError;

/// The outcome of one round of [`Retention::delete_ended_tasks`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeletedTasks {
    /// The number of deleted tasks.
    pub tasks: u64,
    /// Bytes that the groups are no longer charged for.
    pub freed: u64,
    /// The task after which the next round continues; `None` if no later task can be old enough.
    pub next: Option<TaskId>,
}

/// The outcome of one round of [`Retention::delete_archives_of_ended`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeletedArchives {
    /// The number of deleted archives.
    pub archives: u64,
    /// Bytes that the groups are no longer charged for.
    pub freed: u64,
    /// The record after which the next round continues; `None` if no later archive can be old enough.
    pub next: Option<ArtifactId>,
}

/// Operations that delete old tasks and records. Any coordinator may call them at any time; concurrent calls
/// share the work.
/// The outcome of one round of [`Retention::delete_ended_jobs`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeletedJobs {
    /// The number of deleted jobs.
    pub jobs: u64,
    /// The number of their tasks that were deleted.
    pub tasks: u64,
    /// Bytes that the groups are no longer charged for.
    pub freed: u64,
    /// The job after which the next round continues; `None` after the last.
    pub next: Option<JobId>,
}

/// Deletion of old records.
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

    /// Examines up to `limit` archives after `after`, in the order of their records, and deletes those of tasks that
    /// ended before `ended_before`. The tasks and their results stay. Sizes are released, and objects are garbage from
    /// `now` on.
    ///
    /// Archives stay in the cases in which [`Self::delete_ended_tasks`] keeps their task. They are examined again in
    /// every walk, until they are deleted.
    async fn delete_archives_of_ended(
        &self,
        ended_before: Timestamp,
        after: Option<ArtifactId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<DeletedArchives, StoreError>;

    /// Examines up to `limit` jobs after `after`, by their numbers, and deletes those that ended before `ended_before`, with
    /// their tasks. If there are many tasks, some of them are deleted, and the next round continues with the same job. Tasks
    /// stay in the cases in which [`Self::delete_ended_tasks`] keeps them, and so do their jobs.
    async fn delete_ended_jobs(
        &self,
        ended_before: Timestamp,
        after: Option<JobId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<DeletedJobs, StoreError>;

    /// Deletes up to `limit` idempotency keys of submissions before `submitted_before`; returns their number.
    async fn delete_submissions(&self, submitted_before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Deletes up to `limit` records of workers that were removed before `gone_before`; returns their number.
    async fn delete_departures(&self, gone_before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
