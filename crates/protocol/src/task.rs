//! Tasks: what to run, where it stands, and how it ended (§2.2, §9).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::artifact::{ArtifactInfo, ArtifactKind};
use crate::result::WireResult;
use crate::{ErrorBody, ExecState, ResultWarning, Timestamp, duration};

/// Where a task stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, ToSchema,
)]
pub enum TaskState {
    /// A follow-up whose upstream task has not ended yet.
    Pending,
    /// Waiting for a worker.
    Ready,
    /// Handed to a worker.
    Running,
    /// The command ended by itself, with any exit code.
    Finished,
    /// Timed out, not startable, or cancelled.
    Cancelled,
    /// Never stored; published clients have the name.
    #[default]
    Unknown,
}

/// What to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskSpec {
    /// Arguments of `/usr/bin/env`; no shell is involved.
    pub args: Vec<String>,
    /// Added to the environment of the command.
    #[serde(default)]
    pub envs: BTreeMap<String, String>,
    /// Files to fetch before the command starts.
    #[serde(default)]
    pub resources: Vec<ResourceDownload>,
    /// Keep standard output and standard error as the `std-log` artifact.
    #[serde(default)]
    pub terminal_output: bool,
    /// Wait for this task to reach this state before the command starts.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, min_items = 2, max_items = 2)]
    pub watch: Option<(Uuid, ExecState)>,
    /// The parameters of a sweep that this task was made with, for whoever reads the results. Nothing
    /// acts on them. Ours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Give the task to another worker after this much silence of the one that has it, if that is less than
    /// the worker's own limit; never before the worker counts as missed. Ours.
    #[serde(default, with = "duration::optional_text", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2min")]
    pub lost_after: Option<Duration>,
    /// The task may run twice at once: it is given to another worker as soon as the one that has it counts as
    /// missed. Ours.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub idempotent: bool,
}

/// A file to fetch before the command starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResourceDownload {
    /// What to fetch.
    pub remote_file: RemoteFile,
    /// Where to put it, relative to the resource directory; no `..`, not absolute.
    pub local_path: String,
}

/// A stored file that a task may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum RemoteFile {
    /// An archive that another task left.
    Artifact {
        /// That task.
        uuid: Uuid,
        /// Which of its archives.
        content_type: ArtifactKind,
    },
    /// A file of the task's group.
    Attachment {
        /// Name within the group.
        key: String,
    },
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WireResult", into = "WireResult")]
pub struct TaskResult {
    /// Raw POSIX wait status: exit code n is n × 256, death by signal s is s (+128 with a core dump).
    pub exit_status: i32,
    /// Why, where the status alone does not tell.
    pub msg: Option<TaskResultMessage>,
}

/// Why a task ended the way it did (semantics §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskResultMessage {
    /// A resource took too long to download.
    FetchResourceTimeout,
    /// The command exceeded the task's timeout.
    ExecTimeout,
    /// Packing and uploading the artifacts took too long.
    UploadResultTimeout,
    /// A resource does not exist.
    ResourceNotFound,
    /// A resource could not be read.
    ResourceForbidden,
    /// The watched task did not reach the state in time.
    WatchTimeout,
    /// A user cancelled it.
    UserCancellation,
    /// The follow-up request was unreadable or refused.
    SubmitNewTaskFailed,
    /// The worker was lost in each of the attempts that a task gets. Ours: published clients read it as null.
    WorkersLost,
}

/// `POST /tasks`, and the content of `MITO_NEW_TASK`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmitTaskRequest {
    /// Group that owns the task.
    pub group_name: String,
    /// What a worker must have; all of them.
    pub tags: Vec<String>,
    /// For queries only.
    pub labels: Vec<String>,
    /// Limit on the run time of the command.
    #[serde(with = "duration::text")]
    #[schema(value_type = String, example = "10min")]
    pub timeout: Duration,
    /// Larger goes first.
    pub priority: i32,
    /// What to run.
    pub task_spec: TaskSpec,
}

/// Reply to a single submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmitTaskReply {
    /// Number within the group, from 1.
    pub task_id: i64,
    /// Global identity, version 4.
    pub uuid: Uuid,
}

/// `POST /tasks/submit`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SubmitTasksRequest {
    /// At least one.
    pub tasks: Vec<SubmitTaskRequest>,
    /// Replays of the same key return the ids of the first submission. Ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// Outcome for one task of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum SubmitOutcome {
    /// Accepted.
    Ok(SubmitTaskReply),
    /// Refused; the others are not affected.
    Err(ErrorBody),
}

/// Reply to a batch, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmitTasksReply {
    /// One outcome per task.
    pub results: Vec<SubmitOutcome>,
    /// The tasks were there already, from an earlier submission with the same idempotency key. Left out when
    /// they are new. Ours.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

/// Everything about a task but its artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskInfo {
    /// Global identity.
    pub uuid: Uuid,
    /// Who submitted it.
    pub creator_username: String,
    /// Group that owns it.
    pub group_name: String,
    /// Number within the group, from 1.
    pub task_id: i64,
    /// What a worker must have.
    pub tags: Vec<String>,
    /// For queries only.
    pub labels: Vec<String>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Where it stands.
    pub state: TaskState,
    /// Limit on the run time of the command, in whole seconds.
    pub timeout: i64,
    /// Larger goes first.
    pub priority: i32,
    /// What to run.
    pub spec: TaskSpec,
    /// Set once the task has ended for good.
    pub result: Option<TaskResult>,
    /// The task that asked for this one.
    #[serde(default)]
    pub upstream_task_uuid: Option<Uuid>,
    /// The task that this one asked for.
    #[serde(default)]
    pub downstream_task_uuid: Option<Uuid>,
    /// The worker that committed it.
    #[serde(default)]
    pub reporter_uuid: Option<Uuid>,
    /// The ended task that this one repeats. Ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats_task_uuid: Option<Uuid>,
    /// What of its output was not kept. Left out when there is nothing to tell. Ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<ResultWarning>,
}

/// `GET /tasks/{uuid}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GetTaskReply {
    /// The task.
    pub info: TaskInfo,
    /// What it left behind.
    pub artifacts: Vec<ArtifactInfo>,
}

/// `PUT /tasks/{uuid}`; only while Ready.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ChangeTaskRequest {
    /// Replaces the tags.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// Replaces the timeout.
    #[serde(with = "duration::optional_text", default)]
    #[schema(value_type = Option<String>, example = "1h 30m")]
    pub timeout: Option<Duration>,
    /// Replaces the priority.
    #[serde(default)]
    pub priority: Option<i32>,
    /// Replaces the whole spec.
    #[serde(default)]
    pub task_spec: Option<TaskSpec>,
}

/// `PUT /tasks/{uuid}/labels` and `PUT /workers/{uuid}/labels`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LabelsRequest {
    /// Replaces the labels.
    pub labels: Vec<String>,
}

/// Which tasks of a group; conditions are joined by AND.
///
/// Also the whole body of `POST /tasks/cancel`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct TaskFilter {
    /// Submitted by one of these.
    #[serde(default)]
    pub creator_usernames: Option<Vec<String>>,
    /// The group; the caller's personal one when absent.
    #[serde(default)]
    pub group_name: Option<String>,
    /// Has all of these.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// Has all of these.
    #[serde(default)]
    pub labels: Option<Vec<String>>,
    /// In one of these.
    #[serde(default)]
    pub states: Option<Vec<TaskState>>,
    /// Comparison such as `>=256` (§14).
    #[serde(default)]
    pub exit_status: Option<String>,
    /// Comparison such as `>5` (§14).
    #[serde(default)]
    pub priority: Option<String>,
    /// More conditions, such as `state=running exit!=0 created>-2h`. Ours; old servers do not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "state=running exit!=0 created>-2h")]
    pub filter: Option<String>,
}

/// Query of `GET /v1/tasks/find`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindTaskQuery {
    /// A UUID, the start of one, `group-number`, `group/number`, or `last` for the caller's newest.
    pub selector: String,
}

/// Reply to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindTaskReply {
    /// Global identity.
    pub uuid: Uuid,
    /// The task's group.
    pub group_name: String,
    /// Number within the group, from 1.
    pub task_id: i64,
    /// Where it stands.
    pub state: TaskState,
}

/// `POST /tasks/query`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct QueryTasksRequest {
    /// Which tasks.
    #[serde(flatten)]
    pub filter: TaskFilter,
    /// Only tasks committed by this worker.
    #[serde(default)]
    pub reporter_uuid: Option<Uuid>,
    /// Most rows to return.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Rows to skip.
    #[serde(default)]
    pub offset: Option<u64>,
    /// Only tasks submitted before this one: the last row of a page leads to the next, at the same cost
    /// however far back. Old servers do not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Uuid>,
    /// Only count.
    pub count: bool,
}

/// Reply to a query, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryTasksReply {
    /// Rows in this reply, or all matches when only counting.
    pub count: u64,
    /// There are at least so many matches; counting stopped there, at a million or after a second. Ours.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub count_is_bounded: bool,
    /// The page ended early, because of its size: the others are those before this task. Ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Uuid>,
    /// Empty when only counting.
    pub tasks: Vec<TaskInfo>,
    /// The group asked about.
    pub group_name: String,
}

/// Reply to a cancellation by filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CancelledTasksReply {
    /// How many were cancelled.
    pub cancelled_count: u64,
    /// The group asked about.
    pub group_name: String,
}

/// `POST /tasks/cancel/list`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CancelTasksListRequest {
    /// At least one.
    pub uuids: Vec<Uuid>,
}

/// Reply to a cancellation by list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CancelledTasksListReply {
    /// How many were cancelled.
    pub cancelled_count: u64,
    /// Unknown, already started or ended, or not the caller's to cancel.
    pub failed_uuids: Vec<Uuid>,
}
