//! Tasks and their attempts.

use mitosis_protocol::{ResultWarning, TaskResult, TaskResultMessage, TaskSpec, TaskState, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{GroupId, TaskId};
use crate::tags::Words;

/// A task and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Internal identity; increases with submission.
    pub id: TaskId,
    /// Global identity.
    pub uuid: Uuid,
    /// Group that owns it.
    pub group: GroupId,
    /// Name of that group.
    pub group_name: String,
    /// Number within the group, from 1.
    pub number: i64,
    /// Name of the user who submitted it.
    pub creator: String,
    /// What a worker must have.
    pub tags: Words,
    /// For queries only.
    pub labels: Words,
    /// Limit on the run time of the command, in seconds.
    pub timeout_seconds: i64,
    /// Larger goes first.
    pub priority: i32,
    /// What to run.
    pub spec: TaskSpec,
    /// Submission.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// The task that asked for this one.
    pub upstream: Option<Uuid>,
    /// The task that this one asked for.
    pub downstream: Option<Uuid>,
    /// The ended task that this one repeats.
    pub repeats: Option<Uuid>,
    /// Where it stands.
    pub phase: Phase,
}

/// Where a task stands. Each state carries what is known in it and nothing else.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// A follow-up whose upstream has not been committed.
    Pending,
    /// Waiting for a worker.
    Ready,
    /// Held by a worker.
    Running(Attempt),
    /// Held by a worker that has said how the command ended, but not committed the result.
    Reported(Attempt, ExecEnd),
    /// Over. Never changes again.
    Ended(Ending),
}

/// A worker's hold on a task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attempt {
    /// The worker.
    pub worker: Uuid,
    /// Counts the attempts of this task, from 1.
    pub epoch: i64,
    /// When the worker was given the task.
    pub claimed_at: Timestamp,
}

/// How the command ended, before the result is known (HTTP contract §12.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ExecEnd {
    /// By itself.
    Finished,
    /// Killed at its timeout, never started, or cancelled by a user.
    Cancelled,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// How the command ended.
    pub end: ExecEnd,
    /// With what result.
    pub result: TaskResult,
    /// What of its output was not kept.
    pub warnings: Vec<ResultWarning>,
    /// The worker that committed it; none for a cancellation by a user.
    pub reporter: Option<Uuid>,
    /// When it was committed.
    pub at: Timestamp,
}

impl Ending {
    /// Whether the task is worth another try: it ended with another status than 0, was ended at its
    /// timeout or never started, or lost a part of what it left. A task that a user cancelled is not.
    pub const fn failed(&self) -> bool {
        match self.result.msg {
            Some(TaskResultMessage::UserCancellation) => false,
            Some(TaskResultMessage::UploadResultTimeout) => true,
            _ => matches!(self.end, ExecEnd::Cancelled) || self.result.exit_status != 0,
        }
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

/// Proof that an attempt holds a task. All three must match for a report to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LeaseKey {
    /// The task.
    pub task: TaskId,
    /// Which attempt, from 1.
    pub epoch: i64,
    /// A number that only the holder was told.
    pub token: i64,
}
