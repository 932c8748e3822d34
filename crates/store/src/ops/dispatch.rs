//! The way of a task through a worker: claim, report, follow-up, complete.
//!
//! Deleting the lease row is the only way to end an attempt. Completion, a forced stop and expiry all
//! race for that row, and the one that deletes it wins; every other finds nothing and says so.

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, TaskId, WorkerId};
use mitosis_domain::lease::Moment;
use mitosis_domain::task::{ExecEnd, LeaseKey, Task};
use mitosis_protocol::{ResultWarning, TaskResult, TaskSpec, Timestamp};
use uuid::Uuid;

use crate::StoreError;
use crate::ops::tasks::{NewTask, TaskIds};

/// A task handed to a worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The task, in phase Running.
    pub task: Task,
    /// What the holder must show to report on it.
    pub lease: LeaseKey,
}

/// Outcome of [`Dispatch::claim_or_resume`].
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// One, or none if none waits.
    Assigned(Vec<Assignment>),
    /// The worker is not registered any more.
    WorkerGone,
    /// The worker shall stop after what it holds, so it gets nothing.
    Stopping,
}

/// Who says that a task is held, and so whether a report counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The worker that the task is leased to now (contract protocol: one run of a process, one worker).
    Worker(WorkerId, TaskId),
    /// The attempt with this key (native protocol).
    Lease(LeaseKey),
}

/// How an attempt is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// Who says so.
    pub holder: Holder,
    /// How the command ended, if it was not reported before.
    pub end: Option<ExecEnd>,
    /// With what result.
    pub result: TaskResult,
}

/// Outcome of one [`Completion`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completed {
    /// The task is over, and the attempt's artifacts are visible.
    Committed,
    /// This very attempt had been committed before: the reply was lost, the answer is the same.
    Replayed,
    /// The attempt does not hold the task; nothing was changed.
    Stale,
    /// How the command ended was neither reported before nor given now; nothing was changed.
    NotReported,
}

/// What one agent brings and wants, in one go (native protocol).
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The agent.
    pub worker: WorkerId,
    /// Attempts that are over.
    pub ended: Vec<Ended>,
    /// Attempts that were never started; their tasks go back to their old place, and nothing is lost.
    pub returned: Vec<LeaseKey>,
    /// How many tasks it would take.
    pub want: usize,
    /// Goes into the keys of what it is given: a number that nobody can guess.
    pub token: i64,
}

/// An attempt that is over, as its agent tells it.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The attempt.
    pub lease: LeaseKey,
    /// How the command ended, unless that was reported before.
    pub end: ExecEnd,
    /// With what result.
    pub result: TaskResult,
    /// The small JSON object that the task left, as text.
    pub data: Option<String>,
    /// What of its output was not kept.
    pub warnings: Vec<ResultWarning>,
}

/// What the store says to an [`Ended`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The task, by its UUID, is over, and the attempt's artifacts are visible.
    Committed(Uuid),
    /// This very attempt had been committed before: the reply was lost, the answer is the same.
    Replayed,
    /// The attempt does not hold the task; nothing was changed.
    Stale,
}

/// What an agent needs to run a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// What it must show to report on it.
    pub lease: LeaseKey,
    /// Global identity of the task.
    pub uuid: Uuid,
    /// Whose it is.
    pub group: GroupId,
    /// Larger goes before smaller within the group.
    pub priority: i32,
    /// Limit on the run time of the command, in seconds.
    pub timeout_seconds: i64,
    /// The task that asked for this one.
    pub upstream: Option<Uuid>,
    /// What to run.
    pub spec: TaskSpec,
}

/// Workers of one class may run exactly the same tasks: same groups, same tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Class(pub u64);

/// What an agent is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// As many as it wanted, or as many as there were; possibly none.
    Work(Vec<Work>, Class),
    /// The worker shall stop after what it holds, so it gets nothing.
    Stopping,
    /// The worker is not registered any more, or its owner's account is not Active.
    WorkerGone,
}

/// Outcome of one [`Exchange`].
#[derive(Debug, Clone, PartialEq)]
pub struct Exchanged {
    /// One for each attempt that ended, in order.
    pub verdicts: Vec<Verdict>,
    /// What it is given.
    pub given: Given,
}

/// Outcome of [`Dispatch::exchange`].
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeOutcome {
    /// One for each agent, in order.
    pub each: Vec<Exchanged>,
    /// Whether tasks became Ready by it.
    pub made_ready: bool,
}

/// Outcome of [`Dispatch::report_end`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReport {
    /// Noted. Repeating the report, even with the other end, notes the latest.
    Noted,
    /// The attempt does not hold the task.
    NotHeld,
}

/// Outcome of [`Dispatch::submit_follow_up`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowUp {
    /// The task is Pending until its upstream is committed. An earlier follow-up of the same attempt
    /// is gone.
    Created(TaskIds),
    /// The attempt does not hold the upstream task.
    NotHeld,
    /// The end of the upstream task has not been reported yet.
    TooEarly,
    /// The follow-up names another group than its upstream.
    OtherGroup,
    /// The worker may not run tasks of the group.
    Forbidden,
    /// The creator of the upstream task is not Active.
    CreatorNotActive,
    /// The creator of the upstream task may not submit to the group any more.
    CreatorDenied,
    /// The creator of the upstream task may not see a task that the follow-up names.
    NamesForeign,
}

/// The way of a task through a worker.
#[async_trait]
pub trait Dispatch {
    /// Takes what many agents bring and gives them what they want, in one transaction: ends attempts as
    /// [`Self::complete`] does, takes back what was not started, and leases Ready tasks that each worker
    /// may run (semantics §5): its groups with Write or Admin, and all tags of the task among its own.
    /// Groups take turns; within a group the larger priority goes first, then the older. Each task goes
    /// to one worker only, however many coordinators ask at once.
    async fn exchange(&self, batch: &[Exchange], at: Moment) -> Result<ExchangeOutcome, StoreError>;

    /// A task for a worker of the contract protocol, in the order of [`Self::exchange`]. A worker that
    /// holds a Running task is given that one again, with the key it had: the reply to its last fetch
    /// was lost (HTTP contract §12.1).
    async fn claim_or_resume(&self, worker: WorkerId, token: i64, at: Moment) -> Result<Claim, StoreError>;

    /// What a worker needs to run tasks that it holds: the reply that gave them to it was lost.
    async fn work_in_hand(&self, worker: WorkerId, tasks: &[TaskId]) -> Result<Vec<Work>, StoreError>;

    /// Notes how the command ended; the result is to follow.
    async fn report_end(&self, holder: Holder, end: ExecEnd, now: Timestamp)
    -> Result<EndReport, StoreError>;

    /// The task that is held, with its lease; `None` when the holder does not hold it.
    async fn held(&self, holder: Holder) -> Result<Option<Assignment>, StoreError>;

    /// Makes a follow-up of a held task (semantics §4.3). Its creator is the upstream task's.
    async fn submit_follow_up(
        &self,
        holder: Holder,
        task: &NewTask,
        now: Timestamp,
    ) -> Result<FollowUp, StoreError>;

    /// Ends attempts, each fenced by its holder: the task is over, the artifacts reserved by this
    /// attempt become visible, its follow-up becomes Ready, a worker that was to stop after its last
    /// task is removed. One outcome per completion, in order; they do not affect one another.
    async fn complete(
        &self,
        completions: &[Completion],
        now: Timestamp,
    ) -> Result<Vec<Completed>, StoreError>;
}
