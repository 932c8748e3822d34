//! What changed lately.

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_domain::tags::TagSet;
use mitosis_protocol::events::TaskEvent;
use mitosis_protocol::{TaskState, Timestamp};

use crate::StoreError;

/// A place in the order of changes: by time, then by task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When it changed.
    pub at: Timestamp,
    /// Which task.
    pub task: TaskId,
}

/// The last change of a task. Two changes within one microsecond differ in the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Its place in the order of changes.
    pub cursor: Cursor,
    /// How far the task is on its way: 0 pending, 1 ready, 2 running, 3 its end is reported, 4 ended.
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

/// Which changes to read.
#[derive(Debug, Clone)]
pub struct ChangeQuery {
    /// Tasks of these groups.
    pub groups: Vec<GroupId>,
    /// With this label.
    pub label: Option<String>,
}

/// The last change of a task.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its place in the order of changes.
    pub cursor: Cursor,
    /// The group of the task.
    pub group: GroupId,
    /// The labels that the task has now.
    pub labels: TagSet,
    /// Where it stands.
    pub event: TaskEvent,
}

/// What changed lately.
#[async_trait]
pub trait Events {
    /// Up to `limit` tasks that came to where they stand after `after`, in that order. Costs what
    /// changed since then in all groups, however much there is from before.
    async fn changes(
        &self,
        query: &ChangeQuery,
        after: Cursor,
        limit: u64,
    ) -> Result<Vec<Change>, StoreError>;

    /// Positions of up to `limit` tasks of all groups that changed after `after`, in that order. Much cheaper than
    /// the changes themselves: a reader that looks at the same stretch again fetches only what is new to it.
    async fn positions(&self, after: Cursor, limit: u64) -> Result<Vec<Position>, StoreError>;

    /// The last changes of these tasks, in the order of their cursors. Tasks that do not exist are left out.
    async fn last_changes(&self, tasks: &[TaskId]) -> Result<Vec<Change>, StoreError>;
}
