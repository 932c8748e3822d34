//! What changed lately.

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_domain::tags::Words;
use mitosis_protocol::Timestamp;
use mitosis_protocol::events::TaskEvent;

use crate::StoreError;

/// A place in the order of changes: by time, then by task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When it changed.
    pub at: Timestamp,
    /// Which task.
    pub task: TaskId,
}

/// Whose changes.
#[derive(Debug, Clone)]
pub struct ChangeQuery {
    /// Tasks of these groups; of all unless given.
    pub groups: Option<Vec<GroupId>>,
    /// With this label.
    pub label: Option<String>,
}

/// A task came to where it stands.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its place in the order of changes.
    pub cursor: Cursor,
    /// The group of the task.
    pub group: GroupId,
    /// The labels that the task has now.
    pub labels: Words,
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
}
