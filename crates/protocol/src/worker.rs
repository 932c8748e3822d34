//! Workers, seen by users (§11) and by themselves (§12).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::secret::SecretValue;
use crate::{ResourceOffer, Role, TaskSpec, Timestamp, duration};

/// Whether a worker accepts tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum WorkerState {
    /// The worker accepts tasks.
    Normal,
    /// The worker ends after the tasks it holds.
    GracefulShutdown,
}

/// How to stop a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
pub enum ShutdownOp {
    /// After the tasks it holds.
    #[default]
    #[serde(alias = "graceful")]
    Graceful,
    /// At once; its tasks are requeued.
    #[serde(alias = "force")]
    Force,
}

/// The machine of a worker, and its present boot. After a reboot the boot differs, so everything that an
/// earlier worker ran there is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Machine {
    /// Identifies the machine: a digest that can't be used elsewhere.
    pub id: String,
    /// Identifies the boot.
    pub boot: String,
}

/// What a worker says about itself at its registration, for display.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerFacts {
    /// The version of its program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How tasks are isolated: `cgroup`, `process` or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<String>,
    /// Free space for the files of tasks when it started, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_space: Option<u64>,
}

/// `PUT /v1/workers/{uuid}/drain`: the worker finishes its tasks, takes no others, and stays registered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainWorkerRequest {
    /// Why, for display; at most 200 characters.
    #[serde(default)]
    pub reason: String,
}

/// `POST /workers`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct RegisterWorkerRequest {
    /// The tags that it offers.
    pub tags: Vec<String>,
    /// Labels, for queries only.
    pub labels: Vec<String>,
    /// `name` (role Write) or `name:role`.
    pub groups: Vec<String>,
    /// The lifetime of the token; the coordinator's default if null.
    #[serde(with = "duration::optional_text", default)]
    #[schema(value_type = Option<String>, example = "1h 30m")]
    pub lifetime: Option<Duration>,
    /// How many tasks a native worker runs at once. Absent for a legacy worker, which runs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// Requeue its tasks after this much silence, if that is less than the coordinator's `heartbeat_timeout`,
    /// but not before the worker is missed. Native.
    #[serde(default, with = "duration::optional_text", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2min")]
    pub lost_after: Option<Duration>,
    /// What it offers to its tasks. Without an offer, a native worker runs only tasks of the default request. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<ResourceOffer>,
    /// How long it runs tasks from now on: it gets only tasks that end before. Native.
    #[serde(default, with = "duration::optional_text", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "1h 30m")]
    pub ends_in: Option<Duration>,
    /// The host name of the worker, for display. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The machine of the worker: tasks that an earlier worker of the same user held there before a reboot are
    /// requeued at once. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// What else the worker says about itself. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<WorkerFacts>,
}

/// Reply to a registration.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct RegisterWorkerReply {
    /// The UUID of this run of the process, version 4.
    pub worker_id: Uuid,
    /// Bearer token for the worker's own calls.
    pub token: String,
    /// The address for announcing execution states; null without Redis.
    #[serde(default)]
    pub redis_url: Option<String>,
}

/// A worker as users see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerInfo {
    /// The UUID.
    pub worker_id: Uuid,
    /// The host name that it sent. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What else it said about itself. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<WorkerFacts>,
    /// Why it takes no new tasks, if a user drains it; it stays registered. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_reason: Option<String>,
    /// The name of the user who registered it.
    pub creator_username: String,
    /// The tags that it offers.
    pub tags: Vec<String>,
    /// Labels, for queries only.
    pub labels: Vec<String>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed, without heartbeats.
    pub updated_at: Timestamp,
    /// Whether it accepts tasks.
    pub state: WorkerState,
    /// The last heartbeat.
    pub last_heartbeat: Timestamp,
    /// The task it runs, by UUID despite the name.
    pub assigned_task_id: Option<Uuid>,
    /// Whether the worker is missed, so that it gets no new tasks; left out otherwise. Native.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missed: bool,
    /// When the tasks of a missed worker are requeued, unless it sends a heartbeat. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<Timestamp>,
    /// The `lost_after` of its registration. Native.
    #[serde(default, with = "duration::optional_text", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2min")]
    pub lost_after: Option<Duration>,
    /// What it offers to its tasks together. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<ResourceOffer>,
    /// What its tasks leave of that. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free: Option<ResourceOffer>,
    /// When it stops to run tasks: it gets only those that end before. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
}

/// `GET /workers/{uuid}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GetWorkerReply {
    /// The worker.
    pub info: WorkerInfo,
    /// The groups, with their roles on the worker.
    pub groups: BTreeMap<String, Role>,
}

/// A filter for workers of a group.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct WorkerFilter {
    /// The group; the caller's personal one if absent.
    #[serde(default)]
    pub group_name: Option<String>,
    /// With one of these roles of the group on the worker.
    #[serde(default)]
    pub role: Option<Vec<Role>>,
    /// With all of these tags.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// With all of these labels.
    #[serde(default)]
    pub labels: Option<Vec<String>>,
    /// Registered by this user.
    #[serde(default)]
    pub creator_username: Option<String>,
}

/// `POST /workers/query`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct QueryWorkersRequest {
    /// The workers.
    #[serde(flatten)]
    pub filter: WorkerFilter,
    /// Whether to return only the count.
    pub count: bool,
    /// Only workers after this position: `next` of a page leads to the next one. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// Most rows to return. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Reply to a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryWorkersReply {
    /// The number of all matches with `count`, otherwise of the workers in this page.
    pub count: u64,
    /// The workers, oldest first; empty with `count`.
    pub workers: Vec<WorkerInfo>,
    /// The name of the group.
    pub group_name: String,
    /// The position after which there may be more workers. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// `PUT /workers/{uuid}/tags`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TagsRequest {
    /// The new tags; at least one.
    pub tags: Vec<String>,
}

/// `DELETE /workers/{uuid}/groups/remove`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RemoveGroupsRequest {
    /// At least one name.
    pub groups: Vec<String>,
}

/// `POST /workers/shutdown`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ShutdownWorkersRequest {
    /// The workers.
    #[serde(flatten)]
    pub filter: WorkerFilter,
    /// The kind of the shutdown.
    pub op: ShutdownOp,
}

/// Reply to a shutdown by filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShutdownWorkersReply {
    /// How many workers were removed or marked.
    pub shutdown_count: u64,
    /// The name of the group.
    pub group_name: String,
}

/// `POST /workers/shutdown/list`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ShutdownWorkersListRequest {
    /// The workers; at least one.
    pub uuids: Vec<Uuid>,
    /// The kind of the shutdown.
    pub op: ShutdownOp,
}

/// Reply to a shutdown by list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShutdownWorkersListReply {
    /// How many workers were removed or marked.
    pub shutdown_count: u64,
    /// Workers that are unknown, or that the caller may not stop.
    pub failed_uuids: Vec<Uuid>,
}

/// `GET /workers/tasks`: the assigned task, or JSON `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FetchedTask {
    /// The internal number, used in reports only.
    pub id: i64,
    /// The UUID.
    pub uuid: Uuid,
    /// Limit on the run time of the command.
    #[serde(with = "duration::text")]
    #[schema(value_type = String, example = "10min")]
    pub timeout: Duration,
    /// The task that requested this one.
    #[serde(default)]
    pub upstream_task_uuid: Option<Uuid>,
    /// The command and its environment.
    pub spec: TaskSpec,
    /// The values of the secrets, by the names of their variables. Native; others get them as variables of the command.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub secrets: BTreeMap<String, SecretValue>,
}
