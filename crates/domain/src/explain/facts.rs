//! The facts that an explanation is based on.

use std::collections::BTreeSet;
use std::time::Duration;

use mitosis_protocol::limit::LimitInfo;
use mitosis_protocol::worker::WorkerState;
use mitosis_protocol::{ExecState, ResourceRequest, TaskResult, TaskState, Timestamp};
use uuid::Uuid;

use super::placement::Placement;
use crate::tags::TagSet;
use crate::task::{Attempt, Ending, ExecEnd, Phase, Task};

/// A task and its environment at one point in time.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The task.
    pub uuid: Uuid,
    /// The name of the group that owns it.
    pub group: String,
    /// The tags that a worker must have.
    pub tags: TagSet,
    /// The state of the task, with the facts that matter in it.
    pub standing: Standing,
    /// The host name of the worker that holds or last held it, if known.
    pub host: Option<String>,
}

/// The state of a task, with the facts that matter in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// The task is a follow-up.
    Pending {
        /// The task that requested it.
        upstream: Uuid,
        /// The state of the upstream task.
        state: TaskState,
    },
    /// The task waits for the success of a task of another job.
    Blocked {
        /// The other job.
        job: i64,
        /// The index of the task in the other job.
        index: u64,
    },
    /// The task waits, and its job does not let it start.
    OnHold {
        /// The job.
        job: i64,
        /// Why.
        hold: Hold,
    },
    /// The task waits for a worker.
    Ready {
        /// The workers that could run it.
        workers: EligibleWorkers,
        /// The tasks that are served before it.
        ahead: Ahead,
        /// Where it can run, if it requests anything but the default and all these workers say what they offer.
        placement: Option<Placed>,
    },
    /// The task waits, and a named limit has no room for it.
    AtLimit(AtLimit),
    /// A worker holds the task.
    Held {
        /// The present attempt.
        attempt: Attempt,
        /// How the command ended, once the worker has said so.
        reported: Option<ExecEnd>,
        /// The worker that holds the task.
        holder: Holder,
        /// The task that has to reach a state before the command starts.
        watched: Option<Watched>,
    },
    /// The task has ended.
    Ended(Ending),
}

/// What a waiting task requests, and where it can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The request.
    pub request: ResourceRequest,
    /// Where it can run.
    pub placement: Placement,
}

/// A named limit that has no room for a waiting task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtLimit {
    /// The limit, and what is in use.
    pub limit: LimitInfo,
    /// How much the task uses.
    pub uses: u64,
    /// The limit was removed.
    pub is_removed: bool,
}

/// Why a job does not let a waiting task start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The job is paused.
    Paused,
    /// This number of its tasks may run at the same time.
    Limit(u64),
    /// The next attempt is due at a time.
    Retry(Timestamp),
}

/// The workers of a group, counted from the widest condition to the narrowest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EligibleWorkers {
    /// Workers that list the group, with any role.
    pub listed: u64,
    /// Of these, workers with Write or Admin.
    pub serving: u64,
    /// Of these, workers with all tags.
    pub fitting: u64,
    /// Of these, draining workers.
    pub draining: u64,
    /// Fitting workers that are not draining and have a free slot.
    pub free: u64,
    /// The last heartbeat of a fitting worker that is not draining.
    pub heard_at: Option<Timestamp>,
    /// The last heartbeat of a free worker.
    pub free_heard_at: Option<Timestamp>,
    /// The latest lease end of a free worker.
    pub free_until: Option<Timestamp>,
    /// When the last free worker counts as silent unless it sends a heartbeat.
    pub free_silent_at: Option<Timestamp>,
    /// The closest worker, if some serve the group and none has all tags.
    pub nearest: Option<Nearest>,
}

/// The worker that lacks the fewest tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest {
    /// The UUID of the worker.
    pub worker: Uuid,
    /// The missing tags.
    pub missing: TagSet,
}

/// How many tasks of the same lane are served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead(u64);

impl Ahead {
    /// The limit of the count. Beyond it, the exact number doesn't matter, and the cost stays the same with a
    /// million waiting tasks.
    pub const COUNTED: u64 = 10_000;

    /// Wraps a count of up to one more than [`Self::COUNTED`].
    pub fn new(counted: u64) -> Self {
        Self(counted.min(Self::COUNTED + 1))
    }

    /// The number; [`Self::COUNTED`] plus one means more.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// A worker that holds a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The last heartbeat.
    pub heard_at: Timestamp,
    /// When its tasks are requeued unless it sends a heartbeat.
    pub lease_until: Timestamp,
    /// When it counts as silent unless it sends a heartbeat; this is before the end of the lease.
    pub silent_at: Timestamp,
    /// Whether it accepts further tasks.
    pub state: WorkerState,
}

/// A task that another one watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The UUID of the watched task.
    pub uuid: Uuid,
    /// The state that it has to reach.
    pub target: ExecState,
    /// The task itself; none if it does not exist.
    pub found: Option<Found>,
}

/// A watched task that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The name of its group, which may differ from that of the watching task.
    pub group: String,
    /// The state of the task.
    pub state: TaskState,
    /// The result, once it has ended.
    pub result: Option<TaskResult>,
}

impl From<Task> for Found {
    fn from(task: Task) -> Self {
        let result = match &task.phase {
            Phase::Ended(ending) => Some(ending.result),
            Phase::Pending | Phase::Ready | Phase::Running(_) | Phase::Reported(..) => None,
        };
        Self { group: task.group_name, state: task.phase.state(), result }
    }
}

/// The time, the coordinator and the caller of a request for an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The present time.
    pub now: Timestamp,
    /// When the coordinator started.
    pub started_at: Timestamp,
    /// The length of a lease.
    pub lease: Duration,
    /// The groups of the caller: a watched task of another group is not shown.
    pub own_groups: BTreeSet<String>,
}
