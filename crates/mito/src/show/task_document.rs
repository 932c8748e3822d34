//! Tasks in the documents of the commands that know jobs.

use mitosis_domain::task::condition;
use mitosis_protocol::job::TaskCondition;
use mitosis_protocol::{ResultWarning, ShellCode, TaskInfo, TaskSpec, Timestamp, Uuid, timestamp};
use serde::Serialize;

use super::task::exit_code;

/// A task with the state that it has in its job, RFC 3339 times and its exit code. The documents of `mito client` have the
/// task as the legacy protocol describes it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TaskDocument {
    uuid: Uuid,
    group_name: String,
    task_id: i64,
    creator_username: String,
    state: TaskCondition,
    /// The exit code, or 128 plus the signal number; null until the task has ended.
    exit_code: Option<ShellCode>,
    /// The reason of the end, if the exit code does not show it.
    msg: Option<String>,
    tags: Vec<String>,
    labels: Vec<String>,
    priority: i32,
    /// In seconds.
    timeout: i64,
    #[serde(with = "timestamp::rfc3339")]
    created_at: Timestamp,
    #[serde(with = "timestamp::rfc3339")]
    updated_at: Timestamp,
    spec: TaskSpec,
    upstream_task_uuid: Option<Uuid>,
    downstream_task_uuid: Option<Uuid>,
    reporter_uuid: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeats_task_uuid: Option<Uuid>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<ResultWarning>,
}

impl TaskDocument {
    pub(super) fn state(&self) -> TaskCondition {
        self.state
    }
}

impl From<TaskInfo> for TaskDocument {
    fn from(info: TaskInfo) -> Self {
        Self {
            state: condition(info.state, info.result),
            exit_code: exit_code(info.state, info.result),
            msg: info.result.and_then(|result| result.msg).map(|msg| format!("{msg:?}")),
            uuid: info.uuid,
            group_name: info.group_name,
            task_id: info.task_id,
            creator_username: info.creator_username,
            tags: info.tags,
            labels: info.labels,
            priority: info.priority,
            timeout: info.timeout,
            created_at: info.created_at,
            updated_at: info.updated_at,
            spec: info.spec,
            upstream_task_uuid: info.upstream_task_uuid,
            downstream_task_uuid: info.downstream_task_uuid,
            reporter_uuid: info.reporter_uuid,
            repeats_task_uuid: info.repeats_task_uuid,
            warnings: info.warnings,
        }
    }
}
