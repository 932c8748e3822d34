//! Events: changes of task states (native API, server-sent events).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{ResultWarning, TaskInfo, TaskResult, TaskState, Timestamp, WaitStatus, timestamp};

/// The state of a task since a moment, as the `data` of a server-sent event named `task`.
///
/// The stream shows the present states, not every change: a task that starts and ends between two checks
/// appears once, as ended. After a reconnect the last seconds may be repeated, with the same ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskEvent {
    /// The task.
    pub uuid: Uuid,
    /// The name of its group.
    pub group_name: String,
    /// The number within the group.
    pub task_id: i64,
    /// The state of the task.
    pub state: TaskState,
    /// The result, once the task has ended.
    pub result: Option<TaskResult>,
    /// The exit code as a shell shows it: that of the command, or 128 plus the signal; left out until the task has ended, and if
    /// the command did not run. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Warnings about outputs that were not stored; left out if there are none. Native.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<ResultWarning>,
    /// When the state was reached.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub at: Timestamp,
}

/// The exit code of a task as a shell shows it; none if it has not ended, or did not run.
pub fn exit_code(state: TaskState, result: Option<TaskResult>) -> Option<i32> {
    match (state, result?.exit_status) {
        (TaskState::Cancelled, WaitStatus::SUCCESS) => None,
        (_, status) => Some(i32::from(status.shell_code().0)),
    }
}

impl From<TaskInfo> for TaskEvent {
    fn from(info: TaskInfo) -> Self {
        Self {
            uuid: info.uuid,
            group_name: info.group_name,
            task_id: info.task_id,
            state: info.state,
            result: info.result,
            exit_code: exit_code(info.state, info.result),
            warnings: info.warnings,
            at: info.updated_at,
        }
    }
}

/// Most tasks in one [`StatesRequest`].
pub const MAX_STATES: usize = 1_000;

/// `POST /v1/tasks/states`: which of the tasks run, and which have ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct StatesRequest {
    /// The tasks, at most [`MAX_STATES`].
    pub tasks: Vec<Uuid>,
    /// How long to hold the request until the first task of the list has ended, at most 20 seconds.
    #[schema(value_type = Option<String>, example = "10s")]
    #[serde(default, with = "crate::duration::optional_text", skip_serializing_if = "Option::is_none")]
    pub wait: Option<Duration>,
}

/// Reply to [`StatesRequest`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct StatesReply {
    /// The states of those of the tasks that run or have ended, the earliest change first. Tasks that wait, that don't
    /// exist or that the caller may not see are left out.
    pub tasks: Vec<TaskEvent>,
}
