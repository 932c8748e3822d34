//! What has to be known to explain a task.

use std::collections::BTreeSet;
use std::time::Duration;

use mitosis_protocol::worker::WorkerState;
use mitosis_protocol::{ExecState, TaskResult, TaskState, Timestamp};
use uuid::Uuid;

use crate::tags::Words;
use crate::task::{Attempt, Ending, ExecEnd, Phase, Task};

/// A task with what surrounds it, all of one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The task.
    pub uuid: Uuid,
    /// Name of the group that owns it.
    pub group: String,
    /// What a worker must have.
    pub tags: Words,
    /// Where it stands, with what matters there.
    pub standing: Standing,
}

/// Where a task stands, with what matters there and nothing else.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// A follow-up.
    Pending {
        /// The task that asked for it.
        upstream: Uuid,
        /// Where that one stands.
        state: TaskState,
    },
    /// Waiting for a worker.
    Ready {
        /// Who could take it.
        crew: Crew,
        /// Who goes first.
        ahead: Ahead,
    },
    /// Held by a worker.
    Held {
        /// By which, since when.
        attempt: Attempt,
        /// How the command ended, once the worker has said so.
        reported: Option<ExecEnd>,
        /// What is known of the worker.
        holder: Holder,
        /// What the worker waits for before it starts the command.
        watched: Option<Watched>,
    },
    /// Over.
    Ended(Ending),
}

/// The workers of a group, counted from the wide to the narrow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Crew {
    /// List the group, with any role.
    pub listed: u64,
    /// Of these, with Write or Admin.
    pub serving: u64,
    /// Of these, with all tags.
    pub fitting: u64,
    /// Of these, stopping after what they hold.
    pub draining: u64,
    /// Of the fitting, not stopping, with room for another task.
    pub free: u64,
    /// The last sign of life of any that is fitting and not stopping.
    pub heard_at: Option<Timestamp>,
    /// The same among the free.
    pub free_heard_at: Option<Timestamp>,
    /// The latest end of a lease among the free.
    pub free_until: Option<Timestamp>,
    /// When the last of the free counts as silent unless it is heard from.
    pub free_silent_at: Option<Timestamp>,
    /// When some serve and none fits: who comes nearest.
    pub nearest: Option<Nearest>,
}

/// The worker that lacks the fewest tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest {
    /// Which.
    pub worker: Uuid,
    /// What it lacks.
    pub missing: Words,
}

/// How many tasks of the same lane go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead(u64);

impl Ahead {
    /// How far is counted: whoever waits behind so many does not mind how many more there are, and the
    /// count costs the same with a million in line.
    pub const COUNTED: u64 = 10_000;

    /// What was counted, up to one more than [`Self::COUNTED`].
    pub fn new(counted: u64) -> Self {
        Self(counted.min(Self::COUNTED + 1))
    }

    /// The number; [`Self::COUNTED`] and one stands for more.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// A worker that holds a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Last sign of life.
    pub heard_at: Timestamp,
    /// When its tasks are given to others unless it is heard from.
    pub lease_until: Timestamp,
    /// When it counts as silent unless it is heard from, some time before.
    pub silent_at: Timestamp,
    /// Whether it takes further tasks.
    pub state: WorkerState,
}

/// A task that another one watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Which.
    pub uuid: Uuid,
    /// How far it has to come.
    pub target: ExecState,
    /// The task itself; nothing when there is none.
    pub found: Option<Found>,
}

/// A watched task that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Name of its group, which may be another one than that of the task that watches.
    pub group: String,
    /// Where it stands.
    pub state: TaskState,
    /// Its result, once it is over.
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

/// When the question is asked, by whose clock, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Now.
    pub now: Timestamp,
    /// When the coordinator started.
    pub started_at: Timestamp,
    /// How long a worker may be silent.
    pub lease: Duration,
    /// Groups that the asker is in: a watched task of another one is not spoken of.
    pub own_groups: BTreeSet<String>,
}
