//! Jobs: submission, late writing of their tasks, progress, and changes.
//!
//! A job reserves the ids and numbers of all its tasks when it is submitted. Their rows are written later, in order. A
//! coordinator decides what to do next with [`Snapshot::next`], and each step checks its condition again in its own
//! transaction. So any number of coordinators may plan the same job.

use std::sync::Arc;

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, JobId, TaskId, UserId};
use mitosis_domain::index_set::IndexSet;
use mitosis_domain::job_plan::{Snapshot, WrittenCounts};
use mitosis_domain::tags::TagSet;
use mitosis_protocol::job::{
    AttemptInfo, JobAttempt, JobChange, JobNeed, JobOptions, JobResource, NewNeed, StopCause, TaskCondition,
    TaskOutcome,
};
use mitosis_protocol::limit::LimitUse;
use mitosis_protocol::retry::RetryPolicy;
use mitosis_protocol::{ArtifactKind, Timestamp};
use uuid::Uuid;

use crate::StoreError;
use crate::ops::tasks::{IdempotencyKey, NewTask};
use crate::ops::webhooks::NewWebhook;
use crate::ops::{Actor, Changed};

/// The number of tasks that one cancellation, retry or removal changes at most, so that others don't wait for long.
pub const JOB_BATCH: u64 = 2_000;

/// The largest number of ranges of tasks of a job that are cancelled before they are written.
pub const MAX_SKIPPED_RANGES: usize = 10_000;

/// A new job, which the caller has checked.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// The group that owns it.
    pub group: GroupId,
    /// The name.
    pub name: Option<String>,
    /// Labels of the job, for queries.
    pub labels: TagSet,
    /// The priority; larger goes first.
    pub priority: i32,
    /// The task and its parameters, as JSON. The store does not read it.
    pub blueprint: Arc<str>,
    /// The number of tasks, at least 1.
    pub size: u64,
    /// Limits and times.
    pub options: JobOptions,
    /// When tasks get further attempts by themselves.
    pub retry: Option<RetryPolicy>,
    /// What each task uses of named limits of the group. No name occurs twice.
    pub limits: Vec<LimitUse>,
    /// The jobs that have to end first, and those whose tasks the tasks need.
    pub needs: Vec<NewNeed>,
    /// Artifacts of needed jobs that the tasks fetch.
    pub resources: Vec<JobResource>,
    /// What to send when it ends.
    pub notify: Vec<NewWebhook>,
    /// Tasks that the tasks of the job refer to.
    pub references: Vec<Uuid>,
    /// The first tasks, which are written with the job. Empty if none may start yet, or needs something.
    pub first: Vec<NewTask>,
}

impl NewJob {
    /// The job without its first tasks.
    pub(crate) fn without_tasks(&self) -> Self {
        let Self { group, priority, size, options, .. } = *self;
        Self {
            group,
            name: self.name.clone(),
            labels: self.labels.clone(),
            priority,
            blueprint: self.blueprint.clone(),
            size,
            options,
            retry: self.retry.clone(),
            limits: self.limits.clone(),
            needs: self.needs.clone(),
            resources: self.resources.clone(),
            notify: self.notify.clone(),
            references: self.references.clone(),
            first: Vec::new(),
        }
    }
}

/// Outcome of [`Jobs::submit_jobs`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobSubmission {
    /// The jobs exist, in the order of the request.
    Accepted(Vec<JobId>),
    /// The same key and request were accepted before, with these jobs.
    Replayed(Vec<JobId>),
    /// Refused: the key was used for a different request.
    KeyReused,
    /// Refused: the creator may not submit to one of the groups, or not see a task or a job that is referred to.
    Denied,
    /// Refused: there is no such job, or the creator may not see it.
    UnknownJob(i64),
    /// Refused: each task of a new job needs that with the same index of another job, and the numbers of tasks differ.
    UnequalLengths {
        /// The position of the new job.
        position: usize,
        /// The other job.
        needed: i64,
        /// The number of tasks of the other job.
        tasks: u64,
    },
    /// Refused: a new job fetches an artifact of another job that has several tasks, and does not need it task by task.
    SeveralTasks {
        /// The position of the new job.
        position: usize,
        /// The other job.
        needed: i64,
        /// The number of tasks of the other job.
        tasks: u64,
    },
    /// Refused: a member may not submit one of the jobs as it is.
    Refused(Refusal),
}

/// Why a member may not submit a job as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The group has no limit of this name.
    #[error("the group has no limit `{0}`")]
    UnknownLimit(String),
    /// No task could start.
    #[error("each task uses {uses} of the limit `{name}`, which is {value}")]
    LimitTooSmall {
        /// The name of the limit.
        name: String,
        /// Its value.
        value: u64,
        /// What each task uses.
        uses: u64,
    },
    /// Only Admins of the group may use this priority.
    #[error("priority {priority} is larger than {most}, the largest for the role Write in the group")]
    PriorityTooHigh {
        /// The priority of the job.
        priority: i32,
        /// The largest one that the creator may use.
        most: i32,
    },
}

/// A job and its progress.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The number.
    pub id: JobId,
    /// The group that owns it.
    pub group: GroupId,
    /// The name of the group.
    pub group_name: String,
    /// The user who submitted it.
    pub creator: UserId,
    /// The name of this user.
    pub creator_name: String,
    /// The name.
    pub name: Option<String>,
    /// Labels of the job.
    pub labels: TagSet,
    /// The priority; larger goes first.
    pub priority: i32,
    /// The number of tasks.
    pub size: u64,
    /// The number of tasks that are written; the first ones.
    pub written: u64,
    /// The id of the first task; the others follow without gaps.
    pub first_id: TaskId,
    /// The number of the first task within its group; the others follow without gaps.
    pub first_number: i64,
    /// The written tasks by state.
    pub counts: WrittenCounts,
    /// Cancelled tasks, as far as they are not written yet.
    pub skipped: IndexSet,
    /// Why no more tasks are written, and the dependency that was not met.
    pub stopped: Option<(StopCause, Option<JobId>)>,
    /// The number of jobs that it still waits for.
    pub unmet: u64,
    /// Whether its tasks need those of a job that has not ended.
    pub is_element_wise: bool,
    /// Limits and times.
    pub options: JobOptions,
    /// When tasks get further attempts by themselves.
    pub retry: Option<RetryPolicy>,
    /// What each task uses of named limits of the group.
    pub limits: Vec<LimitUse>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When its last task ended.
    pub ended_at: Option<Timestamp>,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub struct JobQuery {
    /// Jobs of these groups.
    pub groups: Vec<GroupId>,
    /// Only of the user with this name.
    pub creator: Option<String>,
    /// Only with this name.
    pub name: Option<String>,
    /// Only these.
    pub ids: Option<Vec<i64>>,
    /// Only those that have not ended.
    pub active: bool,
    /// Only jobs before this one.
    pub before: Option<JobId>,
    /// Most jobs.
    pub limit: u64,
}

/// What is needed to write tasks of a job.
#[derive(Debug, Clone)]
pub struct StoredBlueprint {
    /// The task and its parameters, as JSON.
    pub blueprint: Arc<str>,
    /// The group.
    pub group: GroupId,
}

/// An artifact that a task of a job fetches from a task that it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededArtifact {
    /// The index of the task that fetches it, from 1.
    pub index: u64,
    /// The needed task.
    pub task: Uuid,
    /// The kind of the artifact.
    pub content_type: ArtifactKind,
    /// The destination.
    pub local_path: String,
}

/// Tasks of a job: ranges of indices from 1 with both ends included, empty for all; and states, empty for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobTasks {
    /// The ranges.
    pub indices: Vec<(u64, u64)>,
    /// The states.
    pub states: Vec<TaskCondition>,
}

impl JobTasks {
    /// The selected indices larger than `after` and up to `last`: ranges with both ends included, in order.
    pub fn ranges_between(&self, after: u64, last: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let all = self.indices.is_empty().then_some((1, last));
        let ranges = all.into_iter().chain(self.indices.iter().copied());
        let clipped = move |(from, to): (u64, u64)| (from.max(after.saturating_add(1)), to.min(last));
        ranges.map(clipped).filter(|(from, to)| from <= to)
    }
}

/// A written task of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobTaskRow {
    /// The index within the job, from 1.
    pub index: u64,
    /// The UUID.
    pub uuid: Uuid,
    /// The state.
    pub state: TaskCondition,
    /// The number of attempts so far.
    pub attempt: i64,
}

/// Outcome of [`Jobs::cancel_job`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobCancellation {
    /// Tasks were cancelled.
    Done {
        /// The number of waiting tasks that were cancelled, including those that are not written.
        cancelled: u64,
        /// Running tasks that have to be stopped by [`Tasks::request_stop`](crate::ops::Tasks::request_stop).
        running: Vec<Uuid>,
        /// Whether the batch was full, and the call has to be repeated.
        more: bool,
    },
    /// Refused: the cancelled tasks that are not written would be more than [`MAX_SKIPPED_RANGES`] ranges.
    TooScattered,
    /// Refused: there is no such job, or the actor may not change it.
    Denied,
}

/// Outcome of [`Jobs::retry_job`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobRetry {
    /// Tasks wait for their next attempt.
    Done {
        /// Their number.
        retried: u64,
        /// Whether the batch was full, and the call has to be repeated.
        more: bool,
    },
    /// Refused: there is no such job, or the actor may not change it.
    Denied,
}

/// Outcome of [`Jobs::remove_job`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobRemoval {
    /// Tasks were deleted; without any left, the job too.
    Done {
        /// The number of deleted tasks.
        tasks: u64,
        /// Bytes that the group is no longer charged for.
        freed: u64,
        /// Whether tasks are left, and the call has to be repeated.
        more: bool,
    },
    /// Refused: the job has not ended.
    Active,
    /// Refused: another task that has not ended needs an archive of the job.
    Needed,
    /// Refused: there is no such job, or the actor may not change it.
    Denied,
}

/// Operations on jobs.
#[async_trait]
pub trait Jobs {
    /// Inserts all jobs with their first tasks, or none. The creator needs Write in each group, and the right to see
    /// each job and task that is referred to. A job waits for others until [`Self::end_job`] of the last one.
    async fn submit_jobs(
        &self,
        creator: UserId,
        jobs: &[NewJob],
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Changed<JobSubmission>, StoreError>;

    /// Reads jobs, newest first, with exact counts.
    async fn jobs(&self, query: &JobQuery) -> Result<Vec<Job>, StoreError>;

    /// Reads the job with this number.
    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError>;

    /// Reads what a job waits for.
    async fn job_needs(&self, ids: &[JobId]) -> Result<Vec<(JobId, JobNeed)>, StoreError>;

    /// Reads what is needed to write tasks of a job.
    async fn blueprint(&self, id: JobId) -> Result<Option<StoredBlueprint>, StoreError>;

    /// Reads jobs that have not ended, in the order of their numbers, to plan their next steps.
    async fn active_jobs(&self, after: JobId, limit: u64) -> Result<Vec<JobId>, StoreError>;

    /// Reads the state of a job for planning; `None` if it has ended or doesn't exist.
    async fn job_snapshot(&self, id: JobId, now: Timestamp) -> Result<Option<Snapshot>, StoreError>;

    /// Writes the next tasks of a job as Ready. Returns false, and writes nothing, if the job has another number of
    /// written tasks than `written` or another priority than the tasks, or may not start tasks any more.
    async fn write_tasks(
        &self,
        id: JobId,
        written: u64,
        tasks: &[NewTask],
        now: Timestamp,
    ) -> Result<Changed<bool>, StoreError>;

    /// Allows up to `count` held tasks of a job to run, in order, unless it is paused or at its limit; returns their
    /// number.
    async fn release_tasks(&self, id: JobId, count: u64, now: Timestamp) -> Result<Changed<u64>, StoreError>;

    /// Records the end of a job whose tasks have all ended, writes its notifications, and releases or stops the jobs that wait for it. Returns
    /// false if tasks are left, or the end is recorded already.
    async fn end_job(&self, id: JobId, now: Timestamp) -> Result<Changed<bool>, StoreError>;

    /// Ensures that no more tasks of a job are written, if those of the job `by` that they need never succeed. Returns
    /// whether that is so.
    async fn cut_job(&self, id: JobId, by: JobId, now: Timestamp) -> Result<Changed<bool>, StoreError>;

    /// Reads the artifacts that tasks of a job fetch from needed jobs: `count` tasks after the first `written`. A needed task
    /// that is not written, or was deleted, is left out.
    async fn needed_artifacts(
        &self,
        id: JobId,
        written: u64,
        count: u64,
    ) -> Result<Vec<NeededArtifact>, StoreError>;

    /// Ensures that no more tasks of a job are written, and cancels waiting tasks. Tasks that are not written count as
    /// cancelled. Returns whether waiting tasks may be left, and the call has to be repeated.
    async fn stop_job(
        &self,
        id: JobId,
        cause: StopCause,
        now: Timestamp,
    ) -> Result<Changed<bool>, StoreError>;

    /// Cancels waiting tasks of a job, and lists running ones. For a selection without conditions, the whole job is
    /// stopped. A selected task that is not written yet is written as cancelled.
    async fn cancel_job(
        &self,
        by: Actor,
        id: JobId,
        tasks: &JobTasks,
        now: Timestamp,
    ) -> Result<Changed<JobCancellation>, StoreError>;

    /// Changes a job. Returns false if it doesn't exist, the actor may not change it, or the priority would be raised above
    /// the largest that the actor may use.
    async fn change_job(
        &self,
        by: Actor,
        id: JobId,
        change: &JobChange,
        now: Timestamp,
    ) -> Result<Changed<bool>, StoreError>;

    /// Makes ended tasks wait for their next attempt. The ended attempts stay readable with
    /// [`Self::attempts`]. Tasks that were never written, because the job was stopped, are included if
    /// cancelled tasks are.
    async fn retry_job(
        &self,
        by: Actor,
        id: JobId,
        tasks: &JobTasks,
        now: Timestamp,
    ) -> Result<Changed<JobRetry>, StoreError>;

    /// Deletes tasks of an ended job, with their archives, and at last the job.
    async fn remove_job(&self, by: Actor, id: JobId, now: Timestamp) -> Result<JobRemoval, StoreError>;

    /// Reads written tasks of a job after an index, in order.
    async fn tasks_of_job(
        &self,
        id: JobId,
        tasks: &JobTasks,
        after: u64,
        limit: u64,
    ) -> Result<Vec<JobTaskRow>, StoreError>;

    /// Reads the attempts of a job that workers have started, of tasks after an index, in the order of tasks and attempts;
    /// at most `limit` rows, the last of which may not be the last attempt of its task.
    async fn attempts_of_job(&self, id: JobId, after: u64, limit: u64)
    -> Result<Vec<JobAttempt>, StoreError>;

    /// Reads the ended attempts of a task, oldest first.
    async fn attempts(&self, task: Uuid) -> Result<Vec<AttemptInfo>, StoreError>;
}

/// The change of the counts of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CountChange {
    pub(crate) waiting: i64,
    /// Of the waiting ones.
    pub(crate) blocked: i64,
    pub(crate) running: i64,
    pub(crate) succeeded: i64,
    pub(crate) failed: i64,
    pub(crate) timed_out: i64,
    pub(crate) cancelled: i64,
}

impl CountChange {
    /// A worker claims a waiting task.
    pub(crate) const CLAIMED: Self =
        Self { waiting: -1, blocked: 0, running: 1, succeeded: 0, failed: 0, timed_out: 0, cancelled: 0 };

    /// The change by `count` tasks with this outcome.
    pub(crate) fn ended(outcome: TaskOutcome, count: i64) -> Self {
        let none = Self::default();
        match outcome {
            TaskOutcome::Succeeded => Self { succeeded: count, ..none },
            TaskOutcome::Failed => Self { failed: count, ..none },
            TaskOutcome::TimedOut => Self { timed_out: count, ..none },
            TaskOutcome::Cancelled => Self { cancelled: count, ..none },
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.waiting += other.waiting;
        self.blocked += other.blocked;
        self.running += other.running;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.cancelled += other.cancelled;
    }

    /// Whether tasks have ended.
    pub(crate) fn ends_tasks(&self) -> bool {
        [self.succeeded, self.failed, self.timed_out, self.cancelled].iter().any(|count| *count > 0)
    }

    pub(crate) fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clipped() {
        let between = |indices: &[(u64, u64)], after, last| -> Vec<_> {
            JobTasks { indices: indices.to_vec(), states: Vec::new() }.ranges_between(after, last).collect()
        };
        assert_eq!(between(&[], 0, 9), [(1, 9)]);
        assert_eq!(between(&[], 4, 9), [(5, 9)]);
        assert_eq!(between(&[], 9, 9), []);
        assert_eq!(between(&[], u64::MAX, 9), []);
        assert_eq!(between(&[(1, 3), (5, 7), (9, 12)], 1, 10), [(2, 3), (5, 7), (9, 10)]);
    }
}
