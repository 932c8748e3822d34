//! Which rows a caller wants, in the store's own terms.

use mitosis_domain::comparison::Comparison;
use mitosis_domain::filter::Condition;
use mitosis_domain::ids::{GroupId, TaskId, WorkerId};
use mitosis_domain::tags::TagSet;
use mitosis_domain::task::Task;
use mitosis_domain::worker::Worker;
use mitosis_protocol::{Role, TaskState};
use uuid::Uuid;

/// Which tasks of one group; conditions are joined by AND, `None` is no condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskQuery {
    /// The group.
    pub group: GroupId,
    /// Submitted by one of these user names.
    pub creators: Option<Vec<String>>,
    /// Has all of these.
    pub tags: TagSet,
    /// Has all of these.
    pub labels: TagSet,
    /// In one of these states.
    pub states: Option<Vec<TaskState>>,
    /// The raw exit status of an ended task; a task without a result never matches.
    pub exit_status: Option<Comparison>,
    /// The priority.
    pub priority: Option<Comparison>,
    /// Committed by this worker.
    pub reporter: Option<Uuid>,
    /// All of these, too.
    pub also: Vec<Condition>,
}

impl TaskQuery {
    /// Every task of a group.
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

    /// The query, narrowed to tasks that wait; none when it asks for nothing of the kind.
    pub(crate) fn waiting_part(&self) -> Option<Self> {
        let mut states = vec![TaskState::Pending, TaskState::Ready];
        if let Some(asked) = &self.states {
            states.retain(|state| asked.contains(state));
        }
        let over =
            |condition: &Condition| matches!(condition, Condition::ExitCode(_) | Condition::Finished(_));
        if states.is_empty()
            || self.exit_status.is_some()
            || self.reporter.is_some()
            || self.also.iter().any(over)
        {
            return None;
        }
        Some(Self { states: Some(states), ..self.clone() })
    }
}

/// How many match, as far as they were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// There are so many, or more unless `is_whole`.
    pub at_least: u64,
    /// Whether all were counted.
    pub is_whole: bool,
}

/// Counts in steps, so that a count that takes too long still says something. Each step begins anew, and is
/// a hundred times the last one, so all but the last cost little.
pub(crate) const COUNT_STEPS: [u64; 2] = [100, 10_000];

/// Which part of the matches, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Only tasks older than this one: the keyset way, cheap at any depth.
    pub before: Option<TaskId>,
    /// Matches to pass over: the contract's way, its cost grows with the number.
    pub offset: u64,
    /// Most rows to return.
    pub limit: u64,
}

/// Rows of a page.
#[derive(Debug, Clone)]
pub struct TaskPage {
    /// Newest first.
    pub tasks: Vec<Task>,
    /// False when there would be more, had they not been too large together.
    pub is_whole: bool,
}

impl TaskPage {
    pub(crate) const fn empty() -> Self {
        Self { tasks: Vec::new(), is_whole: true }
    }
}

/// About so many bytes is a task in a reply.
pub(crate) fn weight(task: &Task) -> usize {
    const ROW: usize = 600;
    let spec = &task.spec;
    let texts = spec.args.iter().map(|arg| arg.len() + 3).sum::<usize>();
    let pairs = spec.envs.iter().chain(&spec.params).map(|(name, value)| name.len() + value.len() + 6);
    let words = task.tags.iter().chain(task.labels.iter()).map(|word| word.len() + 3);
    ROW + texts + pairs.sum::<usize>() + words.sum::<usize>() + spec.resources.len() * 300
}

/// Reads rows in portions, since it is not known before how large they are.
#[derive(Debug)]
pub(crate) struct Portions {
    most: usize,
    bytes: usize,
    rows: usize,
}

impl Portions {
    /// Rows that are read first.
    const FIRST: usize = 16;
    /// Bytes that are read at once after that, about.
    const PORTION: usize = 4 * 1024 * 1024;

    /// Up to so many bytes.
    pub(crate) const fn up_to(most: usize) -> Self {
        Self { most, bytes: 0, rows: 0 }
    }

    /// How many rows to read next.
    pub(crate) fn next(&self) -> usize {
        match self.rows {
            0 => Self::FIRST,
            rows => (Self::PORTION / (self.bytes / rows).max(1)).max(1),
        }
    }

    /// Whether there is room for another row; if so, one of so many bytes is counted. The first always fits.
    pub(crate) const fn fits(&mut self, bytes: usize) -> bool {
        if self.bytes >= self.most {
            return false;
        }
        self.bytes += bytes;
        self.rows += 1;
        true
    }
}

/// Which part of the matches, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerPage {
    /// Only workers registered after this one.
    pub after: Option<WorkerId>,
    /// Most rows to return.
    pub limit: u64,
    /// It ends early once it has about so many bytes; it has one worker at least, if there is one.
    pub bytes: usize,
}

/// Rows of a page.
#[derive(Debug, Clone)]
pub struct FoundWorkers {
    /// Oldest first.
    pub workers: Vec<Worker>,
    /// False when there may be more.
    pub is_whole: bool,
}

/// About so many bytes is a worker, with what it holds.
pub(crate) fn weight_of_worker(worker: &Worker) -> usize {
    const ROW: usize = 500;
    const HELD: usize = 24;
    let words = worker.tags.iter().chain(worker.labels.iter()).map(|word| word.len() + 3);
    ROW + words.sum::<usize>() + worker.held.len() * HELD
}

/// Which workers; conditions are joined by AND.
#[derive(Debug, Clone)]
pub struct WorkerQuery {
    /// Lists this group.
    pub group: GroupId,
    /// The group has one of these roles on it; `None` for any.
    pub roles: Option<Vec<Role>>,
    /// Has all of these.
    pub tags: TagSet,
    /// Has all of these.
    pub labels: TagSet,
    /// Registered by the user of this name.
    pub creator: Option<String>,
}
