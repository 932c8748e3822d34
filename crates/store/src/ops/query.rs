//! Queries for tasks and workers.

use mitosis_domain::comparison::Comparison;
use mitosis_domain::filter::Condition;
use mitosis_domain::ids::{GroupId, TaskId, WorkerId};
use mitosis_domain::tags::TagSet;
use mitosis_domain::task::Task;
use mitosis_domain::worker::Worker;
use mitosis_protocol::{Role, TaskState};
use uuid::Uuid;

/// A query for tasks of one group. All conditions must hold; `None` is no condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskQuery {
    /// The group.
    pub group: GroupId,
    /// The user names of possible creators.
    pub creators: Option<Vec<String>>,
    /// The task has all of these tags.
    pub tags: TagSet,
    /// The task has all of these labels.
    pub labels: TagSet,
    /// The possible states.
    pub states: Option<Vec<TaskState>>,
    /// The raw exit status of an ended task; a task without a result never matches.
    pub exit_status: Option<Comparison>,
    /// The priority.
    pub priority: Option<Comparison>,
    /// The worker that committed the task.
    pub reporter: Option<Uuid>,
    /// Further conditions.
    pub also: Vec<Condition>,
}

impl TaskQuery {
    /// A query for all tasks of a group.
    pub fn all_of(group: GroupId) -> Self {
        Self {
            group,
            creators: None,
            tags: TagSet::default(),
            labels: TagSet::default(),
            states: None,
            exit_status: None,
            priority: None,
            reporter: None,
            also: Vec::new(),
        }
    }

    /// Restricts the query to waiting tasks; none if it can't match any.
    pub(crate) fn waiting_part(&self) -> Option<Self> {
        let mut states = vec![TaskState::Pending, TaskState::Ready];
        if let Some(asked) = &self.states {
            states.retain(|state| asked.contains(state));
        }
        let of_ended_tasks =
            |condition: &Condition| matches!(condition, Condition::ExitCode(_) | Condition::Finished(_));
        if states.is_empty()
            || self.exit_status.is_some()
            || self.reporter.is_some()
            || self.also.iter().any(of_ended_tasks)
        {
            return None;
        }
        Some(Self { states: Some(states), ..self.clone() })
    }
}

/// A number of matches, possibly incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The counted matches; there may be more unless `is_complete`.
    pub at_least: u64,
    /// Whether all matches were counted.
    pub is_complete: bool,
}

/// Counts in steps, so that a count which exceeds its time limit has a result. Each step starts from zero with
/// a limit a hundred times the last one, so the earlier steps cost little.
pub(crate) const COUNT_STEPS: [u64; 2] = [100, 10_000];

/// A page of matches, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Only tasks older than this one: keyset pagination, whose cost doesn't depend on the position.
    pub before: Option<TaskId>,
    /// The number of matches to skip: the way of the contract, whose cost increases with the number.
    pub offset: u64,
    /// The maximum number of rows.
    pub limit: u64,
}

/// The tasks of a page.
#[derive(Debug, Clone)]
pub struct TaskPage {
    /// The tasks, newest first.
    pub tasks: Vec<Task>,
    /// False if the page ended at its size limit.
    pub is_complete: bool,
}

impl TaskPage {
    pub(crate) const fn empty() -> Self {
        Self { tasks: Vec::new(), is_complete: true }
    }
}

/// The approximate size of a task in a reply, in bytes.
pub(crate) fn approximate_size(task: &Task) -> usize {
    const ROW: usize = 600;
    let spec = &task.spec;
    let texts = spec.args.iter().map(|arg| arg.len() + 3).sum::<usize>();
    let pairs = spec
        .envs
        .iter()
        .chain(&spec.params)
        .chain(&spec.files)
        .map(|(name, value)| name.len() + value.len() + 6);
    let words = task.tags.iter().chain(task.labels.iter()).map(|word| word.len() + 3);
    ROW + texts + pairs.sum::<usize>() + words.sum::<usize>() + spec.resources.len() * 300
}

/// Determines how many rows to read at a time, since their sizes are not known in advance.
#[derive(Debug)]
pub(crate) struct BatchSizes {
    most: usize,
    bytes: usize,
    rows: usize,
}

impl BatchSizes {
    /// The number of rows to read first.
    const FIRST: usize = 16;
    /// The approximate number of bytes to read at a time after that.
    const READ_BYTES: usize = 4 * 1024 * 1024;

    /// Reads up to `most` bytes.
    pub(crate) const fn up_to(most: usize) -> Self {
        Self { most, bytes: 0, rows: 0 }
    }

    /// The number of rows to read next.
    pub(crate) fn next(&self) -> usize {
        match self.rows {
            0 => Self::FIRST,
            rows => (Self::READ_BYTES / (self.bytes / rows).max(1)).max(1),
        }
    }

    /// Returns whether there is room for another row; if so, its size is added. The first row always fits.
    pub(crate) const fn fits(&mut self, bytes: usize) -> bool {
        if self.bytes >= self.most {
            return false;
        }
        self.bytes += bytes;
        self.rows += 1;
        true
    }
}

/// A page of matches, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerPage {
    /// Only workers registered after this one.
    pub after: Option<WorkerId>,
    /// The maximum number of rows.
    pub limit: u64,
    /// The approximate number of bytes after which the page ends. It has at least one worker, if there is one.
    pub bytes: usize,
}

/// The workers of a page.
#[derive(Debug, Clone)]
pub struct FoundWorkers {
    /// The workers, oldest first.
    pub workers: Vec<Worker>,
    /// False if there may be more.
    pub is_complete: bool,
}

/// The approximate size of a worker and its held tasks in a reply, in bytes.
pub(crate) fn approximate_worker_size(worker: &Worker) -> usize {
    const ROW: usize = 500;
    const HELD: usize = 24;
    let words = worker.tags.iter().chain(worker.labels.iter()).map(|word| word.len() + 3);
    ROW + words.sum::<usize>() + worker.held.len() * HELD
}

/// A query for workers. All conditions must hold.
#[derive(Debug, Clone)]
pub struct WorkerQuery {
    /// A group that the worker lists.
    pub group: GroupId,
    /// The possible roles of the group on the worker; `None` for any.
    pub roles: Option<Vec<Role>>,
    /// The worker has all of these tags.
    pub tags: TagSet,
    /// The worker has all of these labels.
    pub labels: TagSet,
    /// The name of the user who registered the worker.
    pub creator: Option<String>,
}
