//! Results of many tasks in one table, and tasks that failed, once more. Ours.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::task::{TaskFilter, TaskResult, TaskState};
use crate::{ResultWarning, Timestamp};

/// `POST /v1/tasks/results`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ResultsRequest {
    /// Which tasks.
    #[serde(flatten)]
    pub filter: TaskFilter,
    /// Only those that failed: ended with another status than 0, at their timeout, or without having
    /// started; not those that a user cancelled.
    #[serde(default)]
    pub failed: bool,
    /// Also those that another task repeats. Without this, the repetition alone stands for both.
    #[serde(default)]
    pub all: bool,
    /// Only tasks submitted before this one: `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Uuid>,
    /// Most rows to return; at most 10,000, which is also the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// One page of results, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ResultsReply {
    /// A row per task.
    pub results: Vec<TaskOutcome>,
    /// The group asked about.
    pub group_name: String,
    /// Where the next page begins; none after the last.
    #[serde(default)]
    pub next: Option<Uuid>,
}

/// How a task ended, or where it stands. What is not there has not happened.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TaskOutcome {
    /// Global identity.
    pub uuid: Uuid,
    /// Number within the group, from 1.
    pub task_id: i64,
    /// Where it stands.
    pub state: TaskState,
    /// The parameters that it was made with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<TaskResult>,
    /// Submission.
    pub created_at: Timestamp,
    /// When a worker got it, for the attempt that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When its result was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// The ended task that this one repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats_task_uuid: Option<Uuid>,
    /// The JSON object that it left in `result.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub data: Option<Box<RawValue>>,
    /// What of its output was not kept. Left out when there is nothing to tell. Ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<ResultWarning>,
}

/// `POST /v1/tasks/retry`: these tasks, or the matches of a filter.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct RetryTasksRequest {
    /// These, of any groups; at most 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuids: Option<Vec<Uuid>>,
    /// Those that match, if no list is given; at most 10,000 at once, newest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<TaskFilter>,
    /// Only those that failed: ended with another status than 0, at their timeout, or without having
    /// started; not those that a user cancelled.
    #[serde(default)]
    pub failed: bool,
    /// Also those that another task repeats already.
    #[serde(default)]
    pub again: bool,
    /// With a filter: only tasks submitted before this one, `next` of the reply before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Uuid>,
    /// A replay with the same key returns the ids of the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// What was submitted again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetryTasksReply {
    /// Oldest original first.
    pub retried: Vec<RetriedTask>,
    /// Those of a list that were not: unknown, not over, not failed when only failed ones were wanted, repeated
    /// already, or in a group where the caller may not submit.
    pub passed_over: Vec<Uuid>,
    /// With a filter: from where to go on; none when all matches were seen.
    #[serde(default)]
    pub next: Option<Uuid>,
}

/// A task and the one that repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetriedTask {
    /// The task.
    pub repeats_task_uuid: Uuid,
    /// The new one.
    pub uuid: Uuid,
    /// Its number within the group.
    pub task_id: i64,
}
