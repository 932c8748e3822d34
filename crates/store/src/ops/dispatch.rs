//! The execution of a task by a worker: claim, report, follow-up, completion.
//!
//! The deletion of its lease row is the only way to end an attempt. Completion, a forced stop and expiry race
//! for this row; one of them deletes it, and the others report that they didn't find it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use mitosis_domain::ids::{GroupId, JobId, TaskId, WorkerId};
use mitosis_domain::lease::Moment;
use mitosis_domain::task::{ExecEnd, LeaseKey, Task};
use mitosis_domain::timeout::Timeout;
use mitosis_protocol::usage::AttemptUsage;
use mitosis_protocol::{ArtifactKind, LeaseToken, ResultWarning, TaskResult, TaskSpec, Timestamp};
use uuid::Uuid;

use crate::StoreError;
use crate::ops::Changed;
use crate::ops::tasks::{NewTask, TaskIds};

/// A task that is assigned to a worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The task, in phase Running.
    pub task: Task,
    /// The key that the holder needs for its reports.
    pub lease: LeaseKey,
}

/// Outcome of [`Dispatch::claim_or_resume`].
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// The assigned task.
    Assigned(Box<Assignment>),
    /// No task waits that the worker may run.
    NoTask,
    /// Refused: the worker is not registered any more.
    WorkerGone,
    /// Refused: the worker is draining.
    Stopping,
}

/// The claim to hold a task, which decides whether a report counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The worker that has a lease on the task (legacy protocol: one worker per process).
    Worker(WorkerId, TaskId),
    /// The attempt with this key (native protocol).
    Lease(LeaseKey),
}

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The holder of the task.
    pub holder: Holder,
    /// How the command ended, if it was not reported before.
    pub end: Option<ExecEnd>,
    /// The result.
    pub result: TaskResult,
}

/// Outcome of one [`Completion`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completed {
    /// The task has ended, and the attempt's artifacts are visible.
    Committed,
    /// The same attempt had been committed before: the reply was lost, and is repeated.
    Replayed,
    /// Refused: the attempt does not hold the task.
    Stale,
    /// Refused: the end of the command was neither reported before nor given now.
    NotReported,
}

/// The ended attempts and the requests of one agent (native protocol).
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The agent.
    pub worker: WorkerId,
    /// The attempts that have ended.
    pub ended: Vec<Ended>,
    /// Attempts that were never started. Their tasks are requeued at their old position, and don't count as
    /// lost.
    pub returned: Vec<LeaseKey>,
    /// The number of requested tasks of the default request.
    pub want: usize,
    /// Whether the agent can start a task with another request, even if it wants none of the default one.
    pub has_room: bool,
    /// The token of the new leases: an unpredictable number.
    pub token: LeaseToken,
}

/// An attempt that has ended, as reported by its agent.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The attempt.
    pub lease: LeaseKey,
    /// How the command ended; an earlier report has precedence.
    pub end: ExecEnd,
    /// The result.
    pub result: TaskResult,
    /// The JSON object in the task's `result.json`, as text.
    pub data: Option<String>,
    /// Warnings about outputs that were not stored.
    pub warnings: Vec<ResultWarning>,
    /// Its archives, if they are small, in the order in which they are stored while the quota of the group lasts.
    /// Those that are not stored become warnings.
    pub archives: Vec<InlineArchive>,
    /// What its command used, if the agent measured it.
    pub usage: Option<AttemptUsage>,
}

/// An archive whose bytes are stored in the database, in the transaction that ends its attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineArchive {
    /// The kind of the archive, at most one of each.
    pub kind: ArtifactKind,
    /// The `.tar.gz` file.
    pub bytes: Bytes,
}

/// The reply to an [`Ended`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The task with this UUID has ended, and the attempt's artifacts are visible.
    Committed(Uuid),
    /// The same attempt had been committed before: the reply was lost, and is repeated.
    Replayed,
    /// Refused: the attempt does not hold the task.
    Stale,
}

/// A task in the form that an agent needs to run it.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// The key that the agent needs for its reports.
    pub lease: LeaseKey,
    /// The UUID of the task.
    pub uuid: Uuid,
    /// The group of the task.
    pub group: GroupId,
    /// The priority; larger goes first within the group.
    pub priority: i32,
    /// The limit on the run time of the command.
    pub timeout: Timeout,
    /// The task that requested this one.
    pub upstream: Option<Uuid>,
    /// The job that it belongs to.
    pub job: Option<JobId>,
    /// The command and its environment.
    pub spec: TaskSpec,
}

/// The eligibility of a worker. Workers of one class may run exactly the same tasks, since they have the same
/// groups and tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Class(pub u64);

/// The tasks that an agent is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Assigned {
    /// As many tasks as requested, or as many as there are; possibly none.
    Work(Vec<Work>, Class),
    /// None: the worker is draining.
    Stopping,
    /// None: the worker is not registered any more, or its owner's account is not Active.
    WorkerGone,
}

/// Outcome of one [`Exchange`].
#[derive(Debug, Clone, PartialEq)]
pub struct Exchanged {
    /// One verdict for each ended attempt, in order.
    pub verdicts: Vec<Verdict>,
    /// The assigned tasks.
    pub assigned: Assigned,
}

/// Outcome of [`Dispatch::report_end`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReport {
    /// The end was recorded. A further report, even with another end, replaces it.
    Recorded,
    /// Refused: the attempt does not hold the task.
    NotHeld,
}

/// Outcome of [`Dispatch::submit_follow_up`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowUp {
    /// The task is Pending until its upstream is committed. It replaces an earlier follow-up of the same
    /// attempt.
    Created(TaskIds),
    /// Refused: the attempt does not hold the upstream task.
    NotHeld,
    /// Refused: the end of the upstream task has not been reported yet.
    TooEarly,
    /// Refused: the follow-up and its upstream have different groups.
    OtherGroup,
    /// Refused: the worker may not run tasks of the group.
    Forbidden,
    /// Refused: the creator of the upstream task is not Active.
    CreatorNotActive,
    /// Refused: the creator of the upstream task may not submit to the group any more.
    CreatorDenied,
    /// Refused: the creator of the upstream task may not see a task that the follow-up refers to.
    ForbiddenReference,
}

/// Operations for the execution of tasks.
#[async_trait]
pub trait Dispatch {
    /// Processes the exchanges of many agents in one transaction: ends attempts as [`Self::complete`] does,
    /// requeues attempts that were not started, and leases Ready tasks that each worker may run (semantics §5).
    /// These are the tasks of its groups with Write or Admin whose tags the worker has. Groups share slot time;
    /// within a group, larger priority goes first, then older. A task is assigned to one worker only, even if
    /// several coordinators call this at the same time. One outcome for each agent, in order.
    async fn exchange(
        &self,
        batch: &[Arc<Exchange>],
        at: Moment,
    ) -> Result<Changed<Vec<Exchanged>>, StoreError>;

    /// Claims a task for a worker of the legacy protocol, in the order of [`Self::exchange`]. A worker that
    /// holds a Running task gets that task again, with its old key, since the reply to its last fetch was lost
    /// (HTTP contract §12.1).
    async fn claim_or_resume(
        &self,
        worker: WorkerId,
        token: LeaseToken,
        at: Moment,
    ) -> Result<Changed<Claim>, StoreError>;

    /// Reads those of the tasks that a worker holds, after the reply that assigned them was lost.
    async fn held_work(&self, worker: WorkerId, tasks: &[TaskId]) -> Result<Vec<Work>, StoreError>;

    /// Records how the command ended, before its result is known.
    async fn report_end(
        &self,
        holder: Holder,
        end: ExecEnd,
        now: Timestamp,
    ) -> Result<Changed<EndReport>, StoreError>;

    /// Reads the held task, with its lease; `None` if the holder does not hold it.
    async fn held(&self, holder: Holder) -> Result<Option<Assignment>, StoreError>;

    /// Creates a follow-up of a held task (semantics §4.3), with the creator of the upstream task.
    async fn submit_follow_up(
        &self,
        holder: Holder,
        task: &NewTask,
        now: Timestamp,
    ) -> Result<Changed<FollowUp>, StoreError>;

    /// Ends attempts whose holders hold their tasks. The task has then ended, the attempt's artifacts are
    /// visible, its follow-up is Ready, and a draining worker is removed after its last task. Returns one
    /// outcome per completion, in order; they are independent.
    async fn complete(
        &self,
        completions: &[Completion],
        now: Timestamp,
    ) -> Result<Changed<Vec<Completed>>, StoreError>;

    /// Corrects how many slots each group holds, as far as the shares of this coordinator depend on it: tasks also start
    /// and end at other coordinators.
    async fn correct_shares(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Decides which workers are kept free for tasks that smaller ones would starve
    /// ([`mitosis_domain::reservation`]). Returns the number of reservations.
    async fn reserve_workers(&self, now: Timestamp) -> Result<Changed<usize>, StoreError>;
}
