//! Submission, lookup, change and cancellation of tasks.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, UserId};
use mitosis_domain::tags::TagSet;
use mitosis_domain::task::Task;
use mitosis_domain::timeout::Timeout;
use mitosis_protocol::{TaskSpec, Timestamp};
use uuid::Uuid;

use crate::StoreError;
use crate::ops::query::{Count, Page, TaskPage, TaskQuery};
use crate::ops::{Actor, Changed};

/// A new task, which the caller has checked.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// The UUID, version 4.
    pub uuid: Uuid,
    /// The group that owns it.
    pub group: GroupId,
    /// The tags that a worker must have.
    pub tags: TagSet,
    /// Labels, for queries only.
    pub labels: TagSet,
    /// The limit on the run time of the command.
    pub timeout: Timeout,
    /// The priority; larger goes first.
    pub priority: i32,
    /// The command and its environment.
    pub spec: TaskSpec,
}

/// The ids of a submitted task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskIds {
    /// The UUID.
    pub uuid: Uuid,
    /// The number within the group, from 1.
    pub number: i64,
}

/// An idempotency key, which makes a submission safe to repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key, chosen by the caller and unique per user.
    pub key: String,
    /// The digest of the request, which detects a reused key.
    pub digest: [u8; 32],
    /// The positions in the request, in increasing order, of tasks that are refused for now and not among those
    /// given. A key under which nothing was accepted can be used again.
    pub refused: Vec<usize>,
}

/// Outcome of [`Tasks::submit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submission {
    /// All tasks are Ready; the ids are in the order of the request.
    Accepted(Vec<TaskIds>),
    /// The same key and request were accepted before. The ids are in the order of the request: those of the
    /// first time, those of tasks that were refused then and are Ready now, and none for refused tasks.
    Replayed(Vec<Option<TaskIds>>),
    /// Refused: the key was used for a different request.
    KeyReused,
    /// Refused: the creator may not submit to one of the groups, or not see one of the tasks that are referred
    /// to.
    Denied,
}

/// A change of a waiting task; `None` keeps a field.
#[derive(Debug, Clone, Default)]
pub struct TaskChange {
    /// The new tags.
    pub tags: Option<TagSet>,
    /// The new timeout.
    pub timeout: Option<Timeout>,
    /// The new priority.
    pub priority: Option<i32>,
    /// The new spec.
    pub spec: Option<TaskSpec>,
}

/// The number of tasks that one cancellation by query ends at most, so that others don't wait for millions.
pub const CANCEL_BATCH: u64 = 1_000;

/// Selects the waiting tasks to cancel.
#[derive(Debug, Clone)]
pub enum CancelSelection {
    /// Those of these tasks that are Ready; the endpoint for one task doesn't cancel Pending ones.
    Ready(Vec<Uuid>),
    /// Those of these tasks that are Ready or Pending.
    Waiting(Vec<Uuid>),
    /// The matches of a query that are Ready or Pending. Nothing matches a condition on the state that excludes
    /// both, or any condition on the exit status. Up to [`CANCEL_BATCH`] tasks are cancelled, the newest first;
    /// the caller repeats it until nothing is left.
    Matching(TaskQuery),
}

/// Tasks in one call of [`Tasks::request_stops`].
pub const STOP_BATCH: usize = 1_000;

/// What came of a request to stop a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopRequested {
    /// The request was recorded, and this worker has to be notified.
    Agent(Uuid),
    /// Refused: a legacy worker runs the task, and can't stop it.
    LegacyWorker,
    /// Refused: no worker runs the task, or the user may not stop it.
    NotRunning,
}

/// How many tasks wait for a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// The groups with the most Ready tasks, by name; the longest queue first.
    pub groups: Vec<(String, u64)>,
    /// Ready tasks of all other groups together.
    pub others: u64,
}

/// Operations on tasks: submission, lookup, change and cancellation.
#[async_trait]
pub trait Tasks {
    /// Inserts all tasks as Ready, or none. The creator needs Write in each group, and the right to see each
    /// task that a spec refers to. Numbers increase within each group. A call with 100,000 tasks doesn't need a
    /// copy of all of them in memory.
    async fn submit(
        &self,
        creator: UserId,
        tasks: &[NewTask],
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Changed<Submission>, StoreError>;

    /// Returns which of these tasks exist, and whether a user is in the group of each.
    async fn tasks_seen_by(&self, user: UserId, tasks: &[Uuid]) -> Result<HashMap<Uuid, bool>, StoreError>;

    /// Reads the task with this UUID, in any state.
    async fn task(&self, uuid: Uuid) -> Result<Option<Task>, StoreError>;

    /// Reads those of many tasks that exist, newest first.
    async fn tasks(&self, uuids: &[Uuid]) -> Result<Vec<Task>, StoreError>;

    /// Reads the UUIDs from `first` to `last` of tasks of these groups, in order.
    async fn task_uuids_between(
        &self,
        first: Uuid,
        last: Uuid,
        groups: &[GroupId],
        limit: u64,
    ) -> Result<Vec<Uuid>, StoreError>;

    /// Reads the task with this number in a group, at a cost that does not depend on the size of the group.
    async fn task_by_number(&self, group: GroupId, number: i64) -> Result<Option<Task>, StoreError>;

    /// Reads the last task that a user submitted, in any group. The cost depends on the number of tasks that
    /// others have submitted since.
    async fn newest_task_of(&self, creator: UserId) -> Result<Option<Task>, StoreError>;

    /// Reads one page of tasks, newest first. It ends after about `bytes` bytes, but has at least one task, if
    /// there is one.
    async fn page_of_tasks(
        &self,
        query: &TaskQuery,
        page: Page,
        bytes: usize,
    ) -> Result<TaskPage, StoreError>;

    /// Reads one page of tasks, newest first.
    async fn query_tasks(&self, query: &TaskQuery, page: Page) -> Result<Vec<Task>, StoreError> {
        Ok(self.page_of_tasks(query, page, usize::MAX).await?.tasks)
    }

    /// Counts the matching tasks, up to `most` and for about the time `within`.
    async fn count_tasks(&self, query: &TaskQuery, most: u64, within: Duration) -> Result<Count, StoreError>;

    /// The number of Ready tasks of the `most` groups with the longest queues. It reads the whole queue, and
    /// fails after about this time.
    async fn queue_depth(&self, most: u64, within: Duration) -> Result<QueueDepth, StoreError>;

    /// Changes a Ready task, and moves it to the queue position of its new tags and priority. Returns false if
    /// there is no Ready task with this UUID that the user may change in this way. This requires Write in its
    /// group, and the right to see each task that the new spec refers to.
    async fn change_task(
        &self,
        actor: Actor,
        uuid: Uuid,
        change: &TaskChange,
        now: Timestamp,
    ) -> Result<Changed<bool>, StoreError>;

    /// Replaces the labels of a task in any state. Returns false if it doesn't exist or the user may not change
    /// it.
    async fn set_task_labels(
        &self,
        actor: Actor,
        uuid: Uuid,
        labels: &TagSet,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Cancels waiting tasks, with `UserCancellation` and exit status 0; returns them. Tasks of groups in which
    /// the user lacks Write are skipped.
    async fn cancel(
        &self,
        actor: Actor,
        selection: &CancelSelection,
        now: Timestamp,
    ) -> Result<Changed<Vec<Uuid>>, StoreError>;

    /// Requests the agents that run tasks to stop them; a repeated request changes nothing. Returns what came of each
    /// request, in the given order. A task of a group in which the actor lacks Write counts as not running.
    async fn request_stops(
        &self,
        actor: Actor,
        tasks: &[Uuid],
        now: Timestamp,
    ) -> Result<Changed<Vec<StopRequested>>, StoreError>;
}
