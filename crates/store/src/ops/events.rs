//! Recent changes of tasks.

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_domain::tags::TagSet;
use mitosis_protocol::events::TaskEvent;
use mitosis_protocol::{TaskState, Timestamp};
use uuid::Uuid;

use crate::StoreError;

/// A position in the order of changes: by time, then by task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The time of the change.
    pub at: Timestamp,
    /// The task.
    pub task: TaskId,
}

/// A change of a task without its contents. Two changes within one microsecond differ in their steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The position in the order of changes.
    pub cursor: Cursor,
    /// The progress of the task: 0 pending, 1 ready, 2 running, 3 end reported, 4 ended.
    pub step: u8,
}

impl Position {
    /// The position of a task whose last change is this event.
    #[must_use]
    pub fn of(cursor: Cursor, event: &TaskEvent) -> Self {
        let step = match event.state {
            TaskState::Pending => 0,
            TaskState::Ready => 1,
            TaskState::Running => 2,
            TaskState::Finished | TaskState::Cancelled if event.result.is_none() => 3,
            TaskState::Finished | TaskState::Cancelled | TaskState::Unknown => 4,
        };
        Self { cursor, step }
    }
}

/// A query for changes.
#[derive(Debug, Clone)]
pub struct ChangeQuery {
    /// The groups of the tasks.
    pub groups: Vec<GroupId>,
    /// A label of the tasks.
    pub label: Option<String>,
}

/// The last change of a task.
#[derive(Debug, Clone)]
pub struct Change {
    /// The position in the order of changes.
    pub cursor: Cursor,
    /// The group of the task.
    pub group: GroupId,
    /// The current labels of the task.
    pub labels: TagSet,
    /// The state of the task after the change.
    pub event: TaskEvent,
}

/// Operations on recent changes of tasks.
#[async_trait]
pub trait Events {
    /// Reads up to `limit` tasks whose last change comes after `after`, in the order of the changes. The cost
    /// depends on the number of changes since then in all groups, not on older ones.
    async fn changes(
        &self,
        query: &ChangeQuery,
        after: Cursor,
        limit: u64,
    ) -> Result<Vec<Change>, StoreError>;

    /// Reads the positions of up to `limit` tasks of all groups that changed after `after`, in order. This is
    /// much cheaper than reading the changes, so a reader that repeats a range only fetches the changes that
    /// are new to it.
    async fn positions(&self, after: Cursor, limit: u64) -> Result<Vec<Position>, StoreError>;

    /// Reads the last changes of these tasks, in the order of their cursors. Tasks that don't exist are left
    /// out.
    async fn last_changes(&self, tasks: &[TaskId]) -> Result<Vec<Change>, StoreError>;

    /// Reads the states of those of the tasks that run or have ended, the earliest change first.
    async fn started_states(&self, tasks: &[Uuid]) -> Result<Vec<TaskEvent>, StoreError>;
}
