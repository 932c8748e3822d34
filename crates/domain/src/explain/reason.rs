//! The reasons why a task is in its state.

use mitosis_protocol::{ExecState, ResourceRequest, TaskState, Timestamp};
use uuid::Uuid;

use super::facts::{Ahead, AtLimit, Nearest};
use super::placement::{NearestOffer, NextWorker};
use crate::tags::TagSet;
use crate::task::{Attempt, Ending, ExecEnd};

/// Why a task is in its state, with the details that the description needs. The codes of the same names are
/// documented in [`mitosis_protocol::explain::ReasonCode`].
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// The task is Pending until another task is committed.
    WaitsForUpstream {
        /// The other task.
        upstream: Uuid,
        /// The state of the upstream task.
        state: TaskState,
    },
    /// The task waits for the success of a task of another job.
    WaitsForTask {
        /// The other job.
        job: i64,
        /// The index of the task in the other job.
        index: u64,
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
        /// The tags that a worker must have.
        tags: TagSet,
        /// Workers that serve the group.
        workers: u64,
        /// The worker that lacks the fewest tags.
        nearest: Option<Nearest>,
    },
    /// Every fitting worker is draining.
    WorkersDraining {
        /// The number of these workers.
        workers: u64,
    },
    /// No fitting worker has been heard from since the coordinator started.
    CoordinatorJustStarted {
        /// When it started.
        started_at: Timestamp,
        /// When the coordinator will know which workers are lost.
        until: Timestamp,
        /// The worker that holds the task; none if it waits for one.
        holder: Option<Uuid>,
        /// Workers that have to reconnect.
        workers: u64,
    },
    /// The free fitting workers are silent.
    WorkersSilent {
        /// The number of these workers.
        workers: u64,
        /// The last heartbeat of any of them.
        heard_at: Option<Timestamp>,
        /// When the last of their leases expires.
        until: Timestamp,
    },
    /// The job is paused.
    JobPaused {
        /// The job.
        job: i64,
    },
    /// As many tasks of the job run as may.
    JobAtLimit {
        /// The job.
        job: i64,
        /// Tasks that may run at the same time.
        most: u64,
    },
    /// A named limit has no room.
    LimitReached(AtLimit),
    /// The next attempt is not due.
    RetryNotDue {
        /// The job.
        job: i64,
        /// When it is due.
        due: Timestamp,
    },
    /// No worker with the tags offers what the task requests.
    ResourcesMissing {
        /// The group.
        group: String,
        /// The request.
        request: ResourceRequest,
        /// Workers of the group with all tags.
        workers: u64,
        /// The worker that lacks the least.
        nearest: Option<NearestOffer>,
    },
    /// No worker has enough of what the task requests now.
    ResourcesBusy {
        /// The request.
        request: ResourceRequest,
        /// The worker that will have enough first.
        next: NextWorker,
    },
    /// Every fitting worker is busy.
    AllBusy {
        /// The number of these workers.
        workers: u64,
        /// The group.
        group: String,
        /// The tasks that are served first.
        ahead: Ahead,
    },
    /// A fitting worker is free.
    NextInTurn {
        /// The number of free workers.
        free: u64,
        /// The group.
        group: String,
        /// The tasks that are served first.
        ahead: Ahead,
    },
    /// The worker waits until the watched task reaches the target state.
    WaitsForWatched {
        /// The worker.
        worker: Uuid,
        /// The watched task.
        watched: Uuid,
        /// The target state.
        target: ExecState,
        /// The state of the watched task; none if it does not exist or the caller can't see it.
        state: Option<TaskState>,
    },
    /// The worker is silent, and its lease has not expired.
    WorkerLost {
        /// The worker.
        worker: Uuid,
        /// The last heartbeat of the worker.
        heard_at: Timestamp,
        /// When the lease expires.
        until: Timestamp,
    },
    /// A worker runs the task.
    Running {
        /// The present attempt.
        attempt: Attempt,
        /// The last heartbeat of the worker.
        heard_at: Timestamp,
        /// Whether the worker is draining.
        draining: bool,
    },
    /// The command has ended and its outputs are being stored.
    Storing {
        /// The present attempt.
        attempt: Attempt,
        /// How the command ended.
        end: ExecEnd,
    },
    /// The task has ended.
    Ended(Ending),
}
