//! Tasks: their specification, state and result (§2.2, §9).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::artifact::{ArtifactInfo, ArtifactKind};
use crate::result::WireResult;
use crate::stop::StopSignal;
use crate::{ErrorBody, ExecState, ResourceRequest, ResultWarning, Timestamp, WaitStatus, duration};

/// The state of a task.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, ToSchema,
)]
pub enum TaskState {
    /// A follow-up whose upstream task has not ended yet.
    Pending,
    /// Waiting for a worker.
    Ready,
    /// A worker holds it.
    Running,
    /// The command ended by itself, with any exit code.
    Finished,
    /// Timed out, not startable, or cancelled.
    Cancelled,
    /// Never stored; 0.6.8 clients define the name.
    #[default]
    Unknown,
}

/// The command of a task and its environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskSpec {
    /// Arguments of `/usr/bin/env`; no shell is involved.
    pub args: Vec<String>,
    /// Variables added to the environment of the command.
    #[serde(default)]
    pub envs: BTreeMap<String, String>,
    /// Variables whose values are secrets of the group: the name of the secret by the name of the variable. Native.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Files to fetch before the command starts.
    #[serde(default)]
    pub resources: Vec<ResourceDownload>,
    /// Whether to store standard output and standard error as the `std-log` artifact.
    #[serde(default)]
    pub terminal_output: bool,
    /// The task to watch, and the state that it has to reach before the command starts.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, min_items = 2, max_items = 2)]
    pub watch: Option<(Uuid, ExecState)>,
    /// The sweep parameters of this task, for the results. They have no effect. Native.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Requeue the task after this much silence of its worker, if that is less than the worker's own limit, but
    /// not before the worker is missed. Native.
    #[serde(default, with = "duration::optional_text", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2min")]
    pub lost_after: Option<Duration>,
    /// Whether the task may run twice at the same time: it is requeued as soon as its worker is missed. Native.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub idempotent: bool,
    /// Where the command starts; the directory of the worker itself if absent. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<TaskDirectory>,
    /// Short texts to write into the resource directory, by their paths there. Native.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// The standard input of the command: the local path of one of the files or resources. Empty input if absent. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// The signal that asks the command to end, at its timeout or for a user; SIGTERM if absent. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "SIGINT")]
    pub stop_signal: Option<StopSignal>,
    /// Time between that signal and SIGKILL, at most an hour; 10 seconds if absent. Native.
    #[serde(default, with = "duration::optional_text", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "30s")]
    pub stop_grace: Option<Duration>,
    /// What the task requests of the worker that runs it; one processor if absent. Native.
    #[serde(default, skip_serializing_if = "ResourceRequest::is_default")]
    pub request: ResourceRequest,
}

/// Where the command of a task starts. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum TaskDirectory {
    /// The resource directory of the task: it is empty except for the files that the task fetches.
    Fresh,
    /// This directory if the worker can use it, otherwise as `Fresh`.
    Prefer(String),
    /// This directory. The task is cancelled if the worker can't use it.
    Require(String),
}

/// A file to fetch before the command starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResourceDownload {
    /// The file to fetch.
    pub remote_file: RemoteFile,
    /// The destination, relative to the resource directory; not absolute and without `..`.
    pub local_path: String,
}

/// A stored file that a task may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum RemoteFile {
    /// An archive of another task.
    Artifact {
        /// The other task.
        uuid: Uuid,
        /// The kind of the archive.
        content_type: ArtifactKind,
    },
    /// An attachment of the task's group.
    Attachment {
        /// The key within the group.
        key: String,
    },
}

/// The result of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WireResult", into = "WireResult")]
pub struct TaskResult {
    /// How the command ended; success if it never ran.
    pub exit_status: WaitStatus,
    /// The reason, if the status alone is not enough.
    pub msg: Option<TaskResultMessage>,
}

/// Why a task ended in its state (semantics §4.2).
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
    /// A user cancelled the task.
    UserCancellation,
    /// The follow-up request was unreadable or rejected.
    SubmitNewTaskFailed,
    /// The worker was lost in each of the allowed attempts. Native: 0.6.8 clients read it as null.
    WorkersLost,
    /// The worker can't use the directory that the task requires. Native: 0.6.8 clients read it as null.
    DirectoryUnavailable,
    /// A task of another job that it needs did not succeed. Native: 0.6.8 clients read it as null.
    DependencyFailed,
    /// The command used more memory than it may. Native: 0.6.8 clients read it as null.
    OutOfMemory,
    /// The command wrote more output than its worker keeps. Native: 0.6.8 clients read it as null.
    OutputLimit,
    /// The command could not be started. Native: 0.6.8 clients read it as null.
    SpawnFailed,
}

/// `POST /tasks`, and the content of `MITO_NEW_TASK`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmitTaskRequest {
    /// The group that owns the task.
    pub group_name: String,
    /// The tags that a worker must have.
    pub tags: Vec<String>,
    /// Labels, for queries only.
    pub labels: Vec<String>,
    /// Limit on the run time of the command.
    #[serde(with = "duration::text")]
    #[schema(value_type = String, example = "10min")]
    pub timeout: Duration,
    /// The priority; a larger one is served first.
    pub priority: i32,
    /// The command and its environment.
    pub task_spec: TaskSpec,
}

/// Reply to a single submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmitTaskReply {
    /// Number within the group, from 1.
    pub task_id: i64,
    /// The UUID, version 4.
    pub uuid: Uuid,
}

/// `POST /tasks/submit`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SubmitTasksRequest {
    /// The tasks; at least one.
    pub tasks: Vec<SubmitTaskRequest>,
    /// A repeated request with the same key returns the ids of the first one. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// The outcome of one task of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum SubmitOutcome {
    /// The task was accepted.
    Ok(SubmitTaskReply),
    /// The task was refused; the others are not affected.
    Err(ErrorBody),
}

/// The reply to a batch, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmitTasksReply {
    /// One outcome for each task.
    pub results: Vec<SubmitOutcome>,
    /// Whether the tasks exist from an earlier submission with the same idempotency key; left out for new
    /// tasks. Native.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

/// All data of a task except for its artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskInfo {
    /// The UUID.
    pub uuid: Uuid,
    /// The name of the user who submitted it.
    pub creator_username: String,
    /// The group that owns it.
    pub group_name: String,
    /// The number within the group, from 1.
    pub task_id: i64,
    /// The tags that a worker must have.
    pub tags: Vec<String>,
    /// Labels, for queries only.
    pub labels: Vec<String>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// The state of the task.
    pub state: TaskState,
    /// Limit on the run time of the command, in whole seconds.
    pub timeout: i64,
    /// The priority; a larger one is served first.
    pub priority: i32,
    /// The command and its environment.
    pub spec: TaskSpec,
    /// The result, once the task has ended.
    pub result: Option<TaskResult>,
    /// The task that requested this one.
    #[serde(default)]
    pub upstream_task_uuid: Option<Uuid>,
    /// The task that this one requested.
    #[serde(default)]
    pub downstream_task_uuid: Option<Uuid>,
    /// The worker that committed it.
    #[serde(default)]
    pub reporter_uuid: Option<Uuid>,
    /// The ended task that this one repeats. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats_task_uuid: Option<Uuid>,
    /// Warnings about outputs that were not stored; left out if there are none. Native.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<ResultWarning>,
}

/// `GET /tasks/{uuid}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GetTaskReply {
    /// The task.
    pub info: TaskInfo,
    /// The stored archives of the task.
    pub artifacts: Vec<ArtifactInfo>,
}

/// `PUT /tasks/{uuid}`; only while Ready.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ChangeTaskRequest {
    /// The new tags.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// The new timeout.
    #[serde(with = "duration::optional_text", default)]
    #[schema(value_type = Option<String>, example = "1h 30m")]
    pub timeout: Option<Duration>,
    /// The new priority.
    #[serde(default)]
    pub priority: Option<i32>,
    /// The new specification.
    #[serde(default)]
    pub task_spec: Option<TaskSpec>,
}

/// `PUT /tasks/{uuid}/labels` and `PUT /workers/{uuid}/labels`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LabelsRequest {
    /// The new labels.
    pub labels: Vec<String>,
}

/// A filter for tasks of a group; conditions are joined by AND.
///
/// It is also the body of `POST /tasks/cancel`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct TaskFilter {
    /// Submitted by one of these users.
    #[serde(default)]
    pub creator_usernames: Option<Vec<String>>,
    /// The group; the caller's personal one if absent.
    #[serde(default)]
    pub group_name: Option<String>,
    /// With all of these tags.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// With all of these labels.
    #[serde(default)]
    pub labels: Option<Vec<String>>,
    /// In one of these states.
    #[serde(default)]
    pub states: Option<Vec<TaskState>>,
    /// A comparison such as `>=256` (§14).
    #[serde(default)]
    pub exit_status: Option<String>,
    /// A comparison such as `>5` (§14).
    #[serde(default)]
    pub priority: Option<String>,
    /// Further conditions, such as `state=running exit!=0 created>-2h`. Native; old servers don't know it.
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

/// Reply to [`FindTaskQuery`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindTaskReply {
    /// The UUID.
    pub uuid: Uuid,
    /// The name of its group.
    pub group_name: String,
    /// The number within the group.
    pub task_id: i64,
    /// The state of the task.
    pub state: TaskState,
}

/// `POST /tasks/query`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct QueryTasksRequest {
    /// The tasks.
    #[serde(flatten)]
    pub filter: TaskFilter,
    /// Only tasks committed by this worker.
    #[serde(default)]
    pub reporter_uuid: Option<Uuid>,
    /// Most rows to return.
    #[serde(default)]
    pub limit: Option<u64>,
    /// How many rows to skip.
    #[serde(default)]
    pub offset: Option<u64>,
    /// Only tasks submitted before this one. The last row of a page leads to the next page, at a constant cost.
    /// Old servers don't know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Uuid>,
    /// Whether to return only the count.
    pub count: bool,
}

/// Reply to a query, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryTasksReply {
    /// The number of rows in this reply, or of all matches with `count`.
    pub count: u64,
    /// Whether there may be more matches: counting stops at a million or after a second. Native.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub count_is_bounded: bool,
    /// Set if the page ended early because of its size: the others are those before this task. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Uuid>,
    /// The rows; empty with `count`.
    pub tasks: Vec<TaskInfo>,
    /// The name of the group.
    pub group_name: String,
}

/// Reply to a cancellation by filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CancelledTasksReply {
    /// How many tasks were cancelled.
    pub cancelled_count: u64,
    /// The name of the group.
    pub group_name: String,
}

/// `POST /tasks/cancel/list`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CancelTasksListRequest {
    /// The tasks; at least one.
    pub uuids: Vec<Uuid>,
}

/// Reply to a cancellation by list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CancelledTasksListReply {
    /// How many tasks were cancelled.
    pub cancelled_count: u64,
    /// Tasks that are unknown, have started or ended, or that the caller may not cancel.
    pub failed_uuids: Vec<Uuid>,
}
