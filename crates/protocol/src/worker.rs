//! Workers, seen by users (§11) and by themselves (§12).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Role, TaskSpec, Timestamp, duration};

/// Whether a worker takes tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum WorkerState {
    /// Takes tasks.
    Normal,
    /// Ends with the task it holds.
    GracefulShutdown,
}

/// How to stop a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
pub enum ShutdownOp {
    /// After the task it holds.
    #[default]
    #[serde(alias = "graceful")]
    Graceful,
    /// At once; its task waits for another worker.
    #[serde(alias = "force")]
    Force,
}

/// The machine that a worker runs on, and its present boot. After a reboot the same machine has another boot, so
/// whatever an earlier worker ran there is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Machine {
    /// Names the machine; a digest, so that it can't be used elsewhere.
    pub id: String,
    /// Names the boot.
    pub boot: String,
}

/// `POST /workers`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct RegisterWorkerRequest {
    /// What it can do.
    pub tags: Vec<String>,
    /// For queries only.
    pub labels: Vec<String>,
    /// `name` (role Write) or `name:role`.
    pub groups: Vec<String>,
    /// Life of the token; the coordinator's default when null.
    #[serde(with = "duration::optional_text", default)]
    #[schema(value_type = Option<String>, example = "1h 30m")]
    pub lifetime: Option<Duration>,
    /// How many tasks an agent of ours runs at once. Absent for a worker that speaks the contract's
    /// protocol, which runs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// Give its tasks to others after this much silence, if that is less than the coordinator's
    /// `heartbeat_timeout`; never before the worker counts as missed. Ours.
    #[serde(default, with = "duration::optional_text", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2min")]
    pub lost_after: Option<Duration>,
    /// Where it runs: frees at once what an earlier worker of the same user held there before a reboot. Ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
}

/// Reply to a registration.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct RegisterWorkerReply {
    /// Identity for this run of the process, version 4.
    pub worker_id: Uuid,
    /// Bearer token for the worker's own calls.
    pub token: String,
    /// Where to announce execution states; null without Redis.
    #[serde(default)]
    pub redis_url: Option<String>,
}

/// A worker as users see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerInfo {
    /// Identity.
    pub worker_id: Uuid,
    /// Who registered it.
    pub creator_username: String,
    /// What it can do.
    pub tags: Vec<String>,
    /// For queries only.
    pub labels: Vec<String>,
    /// Registration.
    pub created_at: Timestamp,
    /// Last change; heartbeats do not count.
    pub updated_at: Timestamp,
    /// Whether it takes tasks.
    pub state: WorkerState,
    /// Last sign of life.
    pub last_heartbeat: Timestamp,
    /// The task it runs, by UUID despite the name.
    pub assigned_task_id: Option<Uuid>,
    /// It has been silent for so long that it gets no new tasks. Left out otherwise. Ours.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missed: bool,
    /// When its tasks are given to others, unless it is heard of again; of a missed worker only. Ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<Timestamp>,
    /// The `lost_after` that it registered with. Ours.
    #[serde(default, with = "duration::optional_text", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2min")]
    pub lost_after: Option<Duration>,
}

/// `GET /workers/{uuid}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GetWorkerReply {
    /// The worker.
    pub info: WorkerInfo,
    /// Groups with their roles on it.
    pub groups: BTreeMap<String, Role>,
}

/// Which workers of a group.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct WorkerFilter {
    /// The group; the caller's personal one when absent.
    #[serde(default)]
    pub group_name: Option<String>,
    /// The group's role on the worker is one of these.
    #[serde(default)]
    pub role: Option<Vec<Role>>,
    /// Has all of these.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// Has all of these.
    #[serde(default)]
    pub labels: Option<Vec<String>>,
    /// Registered by this user.
    #[serde(default)]
    pub creator_username: Option<String>,
}

/// `POST /workers/query`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct QueryWorkersRequest {
    /// Which workers.
    #[serde(flatten)]
    pub filter: WorkerFilter,
    /// Only count.
    pub count: bool,
    /// Only workers after this place: `next` of a page leads to the next one. Ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// Rows at most. Ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Reply to a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryWorkersReply {
    /// How many match, when only counting; else those in this page.
    pub count: u64,
    /// Oldest first. Empty when only counting.
    pub workers: Vec<WorkerInfo>,
    /// The group asked about.
    pub group_name: String,
    /// There may be more: those after this place. Ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// `PUT /workers/{uuid}/tags`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TagsRequest {
    /// Replaces the tags; at least one.
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
    /// Which workers.
    #[serde(flatten)]
    pub filter: WorkerFilter,
    /// How.
    pub op: ShutdownOp,
}

/// Reply to a shutdown by filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShutdownWorkersReply {
    /// Removed or marked.
    pub shutdown_count: u64,
    /// The group asked about.
    pub group_name: String,
}

/// `POST /workers/shutdown/list`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ShutdownWorkersListRequest {
    /// At least one.
    pub uuids: Vec<Uuid>,
    /// How.
    pub op: ShutdownOp,
}

/// Reply to a shutdown by list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShutdownWorkersListReply {
    /// Removed or marked.
    pub shutdown_count: u64,
    /// Unknown, or not the caller's to stop.
    pub failed_uuids: Vec<Uuid>,
}

/// `GET /workers/tasks`: the task handed out, or JSON `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FetchedTask {
    /// Internal number, used in reports only.
    pub id: i64,
    /// Global identity.
    pub uuid: Uuid,
    /// Limit on the run time of the command.
    #[serde(with = "duration::text")]
    #[schema(value_type = String, example = "10min")]
    pub timeout: Duration,
    /// The task that asked for this one.
    #[serde(default)]
    pub upstream_task_uuid: Option<Uuid>,
    /// What to run.
    pub spec: TaskSpec,
}
