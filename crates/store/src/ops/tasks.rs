//! Submission, lookup, change and cancellation of tasks.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, UserId};
use mitosis_domain::tags::TagSet;
use mitosis_domain::task::Task;
use mitosis_protocol::{TaskSpec, Timestamp};
use uuid::Uuid;

use crate::StoreError;
use crate::ops::By;
use crate::ops::query::{Count, Page, TaskPage, TaskQuery};

/// A task to be made. Already checked: the store takes it as it is.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// Global identity, version 4.
    pub uuid: Uuid,
    /// Group that owns it.
    pub group: GroupId,
    /// What a worker must have.
    pub tags: TagSet,
    /// For queries only.
    pub labels: TagSet,
    /// Limit on the run time of the command, in seconds.
    pub timeout_seconds: i64,
    /// Larger goes first.
    pub priority: i32,
    /// What to run.
    pub spec: TaskSpec,
}

/// What was handed out for a submitted task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskIds {
    /// Global identity.
    pub uuid: Uuid,
    /// Number within the group, from 1.
    pub number: i64,
}

/// Makes a submission safe to repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Chosen by the caller; unique per user.
    pub key: String,
    /// Of the request, so that a reused key is noticed.
    pub digest: [u8; 32],
    /// Places in the request, in rising order, whose tasks are refused for now and not among those given. A key
    /// under which nothing was accepted is free again.
    pub refused: Vec<usize>,
}

/// Outcome of [`Tasks::submit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submission {
    /// All tasks are Ready; ids in the order of the request.
    Accepted(Vec<TaskIds>),
    /// The same key and request were accepted before. These are the ids by their place in the request: those of
    /// then, those of tasks that were refused then and are Ready now, and none where a task is refused.
    Replayed(Vec<Option<TaskIds>>),
    /// The key was used for a different request; nothing was done.
    KeyReused,
    /// Nothing was done: the creator may not submit to one of the groups, or not see one of the tasks that
    /// are named.
    Denied,
}

/// Change of a waiting task; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct TaskChange {
    /// Replaces the tags.
    pub tags: Option<TagSet>,
    /// Replaces the timeout, in seconds.
    pub timeout_seconds: Option<i64>,
    /// Replaces the priority.
    pub priority: Option<i32>,
    /// Replaces the spec.
    pub spec: Option<TaskSpec>,
}

/// Most matches of a query that one cancellation ends: others must not wait for millions.
pub const CANCEL_PORTION: u64 = 1_000;

/// Which waiting tasks a cancellation is after.
#[derive(Debug, Clone)]
pub enum CancelSelection {
    /// These, if they are Ready; the form that names one task does not touch Pending ones.
    Ready(Vec<Uuid>),
    /// These, if they are Ready or Pending.
    Waiting(Vec<Uuid>),
    /// Matches of a query that are Ready or Pending. A state condition that holds neither matches
    /// nothing, and so does any condition on the exit status. Up to [`CANCEL_PORTION`], the newest first:
    /// repeat it until nothing is left.
    Matching(TaskQuery),
}

/// Outcome of [`Tasks::ask_to_stop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopAsked {
    /// This worker has to be told.
    Of(Uuid),
    /// A published worker runs it, which can't be told.
    OfPublished,
    /// Nobody runs it, or the user may not stop it.
    NotRunning,
}

/// Submission, lookup, change and cancellation.
#[async_trait]
pub trait Tasks {
    /// Makes all tasks Ready, or none. The creator needs Write in each group, and sight of each task that a
    /// spec names. Numbers count up within each group. Takes 100,000 tasks in one
    /// call without holding a copy of them in memory per statement.
    async fn submit(
        &self,
        creator: UserId,
        tasks: &[NewTask],
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Submission, StoreError>;

    /// Which of these tasks exist, and whether a user is in the group of each.
    async fn tasks_seen_by(&self, user: UserId, tasks: &[Uuid]) -> Result<HashMap<Uuid, bool>, StoreError>;

    /// The task of that UUID, in any state.
    async fn task(&self, uuid: Uuid) -> Result<Option<Task>, StoreError>;

    /// Those of many tasks that exist, newest first.
    async fn tasks(&self, uuids: &[Uuid]) -> Result<Vec<Task>, StoreError>;

    /// The UUIDs from `first` to `last` of tasks of these groups, in order.
    async fn task_uuids_between(
        &self,
        first: Uuid,
        last: Uuid,
        groups: &[GroupId],
        limit: u64,
    ) -> Result<Vec<Uuid>, StoreError>;

    /// The task of that number of a group, at a cost that does not grow with the group.
    async fn task_by_number(&self, group: GroupId, number: i64) -> Result<Option<Task>, StoreError>;

    /// The task that a user submitted last, in any group. Costs what others submitted since.
    async fn newest_task_of(&self, creator: UserId) -> Result<Option<Task>, StoreError>;

    /// One page of tasks, newest first, which ends early once it has so many bytes; it has one task at least, if
    /// there is one.
    async fn page_of_tasks(
        &self,
        query: &TaskQuery,
        page: Page,
        bytes: usize,
    ) -> Result<TaskPage, StoreError>;

    /// One page of tasks, newest first.
    async fn query_tasks(&self, query: &TaskQuery, page: Page) -> Result<Vec<Task>, StoreError> {
        Ok(self.page_of_tasks(query, page, usize::MAX).await?.tasks)
    }

    /// How many tasks match. Counting stops at `most`, and after about this time.
    async fn count_tasks(&self, query: &TaskQuery, most: u64, within: Duration) -> Result<Count, StoreError>;

    /// Changes a task if it is Ready and puts it where its new tags and priority belong. False when there
    /// is no Ready task of that UUID that the user may change in this way: with Write in its group, and
    /// with sight of each task that the new spec names.
    async fn change_task(
        &self,
        by: By,
        uuid: Uuid,
        change: &TaskChange,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Replaces the labels of a task in any state. False when there is none that the user may relabel.
    async fn set_task_labels(
        &self,
        by: By,
        uuid: Uuid,
        labels: &TagSet,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Ends waiting tasks as Cancelled with `UserCancellation` and exit status 0; answers which. Tasks of
    /// groups in which the user does not have Write are passed over.
    async fn cancel(
        &self,
        by: By,
        selection: &CancelSelection,
        now: Timestamp,
    ) -> Result<Vec<Uuid>, StoreError>;

    /// Asks the agent that runs a task to stop it; repeating it changes nothing.
    async fn ask_to_stop(&self, by: By, uuid: Uuid, now: Timestamp) -> Result<StopAsked, StoreError>;
}
