//! Why a task stands where it stands.

use mitosis_protocol::{ExecState, TaskState, Timestamp};
use uuid::Uuid;

use super::facts::{Ahead, Nearest};
use crate::tags::Words;
use crate::task::{Attempt, Ending, ExecEnd};

/// Why a task stands where it stands, with what is worth telling about it. The codes of the same names
/// say what each means ([`mitosis_protocol::explain::ReasonCode`]).
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// Pending until another task is committed.
    WaitsForUpstream {
        /// The other task.
        upstream: Uuid,
        /// Where that one stands.
        state: TaskState,
    },
    /// No worker lists the group.
    NoWorker {
        /// The group.
        group: String,
    },
    /// No worker lists the group with Write or Admin.
    RoleMissing {
        /// The group.
        group: String,
        /// Workers that list it with Read.
        workers: u64,
    },
    /// No worker of the group has all the tags.
    TagsMissing {
        /// The group.
        group: String,
        /// What a worker must have.
        tags: Words,
        /// Workers that serve the group.
        workers: u64,
        /// The one that lacks the fewest.
        nearest: Option<Nearest>,
    },
    /// Every fitting worker is stopping.
    WorkersDraining {
        /// How many.
        workers: u64,
    },
    /// No fitting worker was heard from since the coordinator started.
    CoordinatorJustStarted {
        /// When it started.
        started_at: Timestamp,
        /// When it will know which workers are gone.
        until: Timestamp,
        /// The worker that holds the task; none when it waits for one.
        holder: Option<Uuid>,
        /// Workers that have to come back.
        workers: u64,
    },
    /// The free among the fitting workers are silent.
    WorkersSilent {
        /// How many.
        workers: u64,
        /// The last sign of life of any of them.
        heard_at: Option<Timestamp>,
        /// When the last of their leases ends.
        until: Timestamp,
    },
    /// Every fitting worker is at work.
    AllBusy {
        /// How many.
        workers: u64,
        /// The group.
        group: String,
        /// Who goes first.
        ahead: Ahead,
    },
    /// A fitting worker is free.
    NextInTurn {
        /// How many.
        free: u64,
        /// The group.
        group: String,
        /// Who goes first.
        ahead: Ahead,
    },
    /// The worker waits until the watched task has come far enough.
    WaitsForWatched {
        /// The worker.
        worker: Uuid,
        /// The watched task.
        watched: Uuid,
        /// How far it has to come.
        target: ExecState,
        /// Where it stands; nothing when the asker can't see it, or there is none.
        state: Option<TaskState>,
    },
    /// The worker is silent, and its lease is not over yet.
    WorkerLost {
        /// The worker.
        worker: Uuid,
        /// Its last sign of life.
        heard_at: Timestamp,
        /// When its lease ends.
        until: Timestamp,
    },
    /// A worker is at work on it.
    Running {
        /// By whom, since when.
        attempt: Attempt,
        /// The worker's last sign of life.
        heard_at: Timestamp,
        /// Whether the worker stops after what it holds.
        draining: bool,
    },
    /// The command has ended; what it left behind is being stored.
    Storing {
        /// By whom, since when.
        attempt: Attempt,
        /// How the command ended.
        end: ExecEnd,
    },
    /// Over.
    Ended(Ending),
}
