//! Tasks and their attempts.

use mitosis_protocol::job::{AttemptCause, TaskCondition, TaskOutcome};
use mitosis_protocol::{
    Epoch, LeaseToken, ResultWarning, TaskResult, TaskResultMessage, TaskSpec, TaskState, Termination,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{GroupId, TaskId};
use crate::tags::TagSet;
use crate::timeout::Timeout;

/// A task and its state.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The internal id; it increases with each submission.
    pub id: TaskId,
    /// The UUID.
    pub uuid: Uuid,
    /// The group that owns it.
    pub group: GroupId,
    /// The name of the group.
    pub group_name: String,
    /// The number within the group, from 1.
    pub number: i64,
    /// The name of the user who submitted it.
    pub creator: String,
    /// The tags that a worker must have.
    pub tags: TagSet,
    /// Labels, for queries only.
    pub labels: TagSet,
    /// Limit on the run time of the command.
    pub timeout: Timeout,
    /// The priority; a larger one is served first.
    pub priority: i32,
    /// The command and its environment.
    pub spec: TaskSpec,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// The task that requested this one.
    pub upstream: Option<Uuid>,
    /// The task that this one requested.
    pub downstream: Option<Uuid>,
    /// The ended task that this one repeats.
    pub repeats: Option<Uuid>,
    /// The number of the current or last attempt; zero before the first.
    pub attempt: Epoch,
    /// The state of the task.
    pub phase: Phase,
}

impl Task {
    /// Whether an attempt has ended. The next one may not have started.
    pub fn has_ended(&self, attempt: Epoch) -> bool {
        self.attempt > attempt
            || (self.attempt == attempt && matches!(self.phase, Phase::Ready | Phase::Ended(_)))
    }
}

/// The state of a task, with the data that exists in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// A follow-up whose upstream has not been committed, or a task of a job that needs one of another job.
    Pending,
    /// Waiting for a worker.
    Ready,
    /// A worker holds the task.
    Running(Attempt),
    /// A worker holds the task and has reported the end of the command, but not committed the result.
    Reported(Attempt, ExecEnd),
    /// The task has ended. It never changes again.
    Ended(Ending),
}

/// An attempt of a worker at a task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attempt {
    /// The worker.
    pub worker: Uuid,
    /// The number of the attempt, from 1.
    pub epoch: Epoch,
    /// When the worker claimed the task.
    pub claimed_at: Timestamp,
}

/// How the command ended, before the result is known (HTTP contract §12.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ExecEnd {
    /// The command ended by itself.
    Finished,
    /// The command was killed at its timeout, never started, or cancelled by a user.
    Cancelled,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// How the command ended.
    pub end: ExecEnd,
    /// The result.
    pub result: TaskResult,
    /// Warnings about outputs that were not stored.
    pub warnings: Vec<ResultWarning>,
    /// The worker that committed it; none for a cancellation by a user.
    pub reporter: Option<Uuid>,
    /// When it was committed.
    pub at: Timestamp,
}

impl Ending {
    /// Whether a retry is useful: the task ended with a status other than 0, exceeded its timeout, never
    /// started, or lost an output. A task that was cancelled by a user, or because of another task, is excluded.
    pub const fn failed(&self) -> bool {
        match self.result.msg {
            Some(TaskResultMessage::UserCancellation | TaskResultMessage::DependencyFailed) => false,
            Some(TaskResultMessage::UploadResultTimeout) => true,
            _ => matches!(self.end, ExecEnd::Cancelled) || !self.result.exit_status.is_success(),
        }
    }
}

/// The state of a task within its job. The result is that of an ended task.
pub const fn condition(state: TaskState, result: Option<TaskResult>) -> TaskCondition {
    let end = if matches!(state, TaskState::Cancelled) { ExecEnd::Cancelled } else { ExecEnd::Finished };
    match (result, state) {
        (Some(result), _) => match outcome(end, result) {
            TaskOutcome::Succeeded => TaskCondition::Succeeded,
            TaskOutcome::Failed => TaskCondition::Failed,
            TaskOutcome::TimedOut => TaskCondition::TimedOut,
            TaskOutcome::Cancelled => TaskCondition::Cancelled,
        },
        (None, TaskState::Running) => TaskCondition::Running,
        (None, _) => TaskCondition::Waiting,
    }
}

/// How a task counts in its job.
pub const fn outcome(end: ExecEnd, result: TaskResult) -> TaskOutcome {
    match (result.msg, end) {
        (Some(TaskResultMessage::UserCancellation | TaskResultMessage::DependencyFailed), _) => {
            TaskOutcome::Cancelled
        }
        (Some(TaskResultMessage::ExecTimeout), _) => TaskOutcome::TimedOut,
        (Some(TaskResultMessage::UploadResultTimeout), _) | (_, ExecEnd::Cancelled) => TaskOutcome::Failed,
        (_, ExecEnd::Finished) if result.exit_status.is_success() => TaskOutcome::Succeeded,
        (_, ExecEnd::Finished) => TaskOutcome::Failed,
    }
}

/// What ended an attempt that was not lost.
pub fn cause(end: ExecEnd, result: TaskResult) -> AttemptCause {
    use TaskResultMessage as M;
    match (result.msg, end, result.exit_status.termination()) {
        (Some(M::ExecTimeout | M::WatchTimeout), _, _) => AttemptCause::Timeout,
        (Some(M::OutOfMemory), _, _) => AttemptCause::Oom,
        // Earlier workers have no message for this reason.
        (Some(M::OutputLimit), _, _) | (None, ExecEnd::Cancelled, _) => AttemptCause::OutputLimit,
        (Some(M::UserCancellation), _, _) => AttemptCause::Cancelled,
        (Some(M::WorkersLost), _, _) => AttemptCause::Lost,
        (Some(M::SpawnFailed), _, _) => AttemptCause::SpawnFailed,
        (
            Some(
                M::FetchResourceTimeout
                | M::ResourceNotFound
                | M::ResourceForbidden
                | M::DirectoryUnavailable,
            ),
            _,
            _,
        ) => AttemptCause::ResourceFailed,
        (Some(M::UploadResultTimeout), _, _) => AttemptCause::UploadFailed,
        (Some(M::DependencyFailed), _, _) => AttemptCause::DependencyFailed,
        (Some(M::SubmitNewTaskFailed) | None, _, Termination::Signalled(_)) => AttemptCause::Signal,
        (Some(M::SubmitNewTaskFailed) | None, _, Termination::Exited(_)) => AttemptCause::Exit,
    }
}

impl Phase {
    /// The state as the contract names it.
    pub const fn state(&self) -> TaskState {
        match self {
            Self::Pending => TaskState::Pending,
            Self::Ready => TaskState::Ready,
            Self::Running(_) => TaskState::Running,
            Self::Reported(_, end) => end.state(),
            Self::Ended(ending) => ending.end.state(),
        }
    }
}

impl ExecEnd {
    /// The state as the contract names it.
    pub const fn state(self) -> TaskState {
        match self {
            Self::Finished => TaskState::Finished,
            Self::Cancelled => TaskState::Cancelled,
        }
    }
}

/// The proof that an attempt holds a task. All three parts must match for a report to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LeaseKey {
    /// The task.
    pub task: TaskId,
    /// The number of the attempt, from 1.
    pub epoch: Epoch,
    /// A random number that only the holder knows.
    pub token: LeaseToken,
}
