//! Results of many tasks in one table, and retries of failed tasks. Native.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::task::{TaskFilter, TaskResult, TaskState};
use crate::usage::AttemptUsage;
use crate::{ResultWarning, Timestamp, timestamp};

/// `POST /v1/tasks/results`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ResultsRequest {
    /// The tasks.
    #[serde(flatten)]
    pub filter: TaskFilter,
    /// Only failed tasks: with an exit status other than 0, past their timeout, or never started; not tasks
    /// that a user cancelled.
    #[serde(default)]
    pub failed: bool,
    /// Whether to include tasks that another task repeats. Otherwise only the repetition is returned.
    #[serde(default)]
    pub all: bool,
    /// Only tasks submitted before this one: `next` of the previous page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Uuid>,
    /// Most rows to return; at most 10,000, which is also the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// One page of results, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ResultsReply {
    /// One row for each task.
    pub results: Vec<TaskOutcome>,
    /// The name of the group.
    pub group_name: String,
    /// The start of the next page; null after the last page.
    #[serde(default)]
    pub next: Option<Uuid>,
}

/// The outcome or state of a task. Fields of events that have not happened are left out.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TaskOutcome {
    /// The UUID.
    pub uuid: Uuid,
    /// Number within the group, from 1.
    pub task_id: i64,
    /// The job that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<i64>,
    /// The index within the job, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The state of the task.
    pub state: TaskState,
    /// The sweep parameters of the task.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// The result, once the task has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<TaskResult>,
    /// The exit code as a shell shows it: that of the command, or 128 plus the signal; left out until the task has ended, and if
    /// the command did not run. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// When it was submitted.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub created_at: Timestamp,
    /// When a worker claimed it, for the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "timestamp::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub started_at: Option<Timestamp>,
    /// When its result was committed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "timestamp::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub finished_at: Option<Timestamp>,
    /// The ended task that this one repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats_task_uuid: Option<Uuid>,
    /// The JSON object from `result.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub data: Option<Box<RawValue>>,
    /// Warnings about outputs that were not stored; left out if there are none. Native.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<ResultWarning>,
    /// What its command used, if its worker measured it. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<AttemptUsage>,
}

/// `POST /v1/tasks/retry`: listed tasks, or the matches of a filter.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct RetryTasksRequest {
    /// The tasks, of any groups; at most 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuids: Option<Vec<Uuid>>,
    /// A filter, if there is no list; at most 10,000 tasks at once, newest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<TaskFilter>,
    /// Only failed tasks: with an exit status other than 0, past their timeout, or never started; not tasks
    /// that a user cancelled.
    #[serde(default)]
    pub failed: bool,
    /// Whether to include tasks that another task repeats already.
    #[serde(default)]
    pub again: bool,
    /// With a filter: only tasks submitted before this one, `next` of the previous reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Uuid>,
    /// A repeated request with the same key returns the ids of the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// The reply to a retry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetryTasksReply {
    /// The retried tasks, oldest original first.
    pub retried: Vec<RetriedTask>,
    /// Listed tasks that were not retried: unknown, not ended, not failed if only failed ones were requested,
    /// repeated already, or in a group where the caller may not submit.
    pub passed_over: Vec<Uuid>,
    /// With a filter: where to continue; null when all matches have been processed.
    #[serde(default)]
    pub next: Option<Uuid>,
}

/// A task and its repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetriedTask {
    /// The original task.
    pub repeats_task_uuid: Uuid,
    /// The new task.
    pub uuid: Uuid,
    /// The number of the new task within the group.
    pub task_id: i64,
}
