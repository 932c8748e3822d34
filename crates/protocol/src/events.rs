//! Events: a task came to another state (native API, server-sent events).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{ResultWarning, TaskInfo, TaskResult, TaskState, Timestamp};

/// Where a task stands since a moment. The `data` of a server-sent event named `task`.
///
/// The stream shows where tasks stand, not every step between: a task that starts and ends between two
/// looks is told once, as ended. After a reconnect the last seconds may be told again, with the same ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskEvent {
    /// The task.
    pub uuid: Uuid,
    /// Its group.
    pub group_name: String,
    /// Its number within the group.
    pub task_id: i64,
    /// Where it stands.
    pub state: TaskState,
    /// Its result, once it is over.
    pub result: Option<TaskResult>,
    /// What of its output was not kept. Left out when there is nothing to tell. Ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<ResultWarning>,
    /// Since when.
    pub at: Timestamp,
}

impl From<TaskInfo> for TaskEvent {
    fn from(info: TaskInfo) -> Self {
        Self {
            uuid: info.uuid,
            group_name: info.group_name,
            task_id: info.task_id,
            state: info.state,
            result: info.result,
            warnings: info.warnings,
            at: info.updated_at,
        }
    }
}
