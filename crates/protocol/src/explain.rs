//! Explains why a task is in its state (native API).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::limit::LimitInfo;
use crate::{TaskState, Timestamp, timestamp};

/// `GET /v1/tasks/{uuid}/explain`: `text` and `hint` for people, `code` and its facts for programs. Facts that
/// don't belong to the code are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The task.
    pub uuid: Uuid,
    /// The state of the task.
    pub state: TaskState,
    /// The reason, as a stable code.
    pub code: ReasonCode,
    /// The reason, as a sentence or two.
    pub text: String,
    /// What can be done about it, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The facts in the text, as data.
    #[serde(flatten)]
    pub facts: ReasonFacts,
}

/// The facts behind a reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReasonFacts {
    /// Another task that this one waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Uuid>,
    /// The task of another job that it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "12/7")]
    pub needed_task: Option<String>,
    /// The worker that holds or last held the task; with `tags_missing`, the one that lacks the fewest tags; with
    /// `resources_missing`, the one that lacks the least; with `resources_busy`, the one that will have enough first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Uuid>,
    /// The host name of that worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The number of workers in the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u64>,
    /// The tags that the nearest worker lacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_tags: Vec<String>,
    /// What the worker has of what the task requests, where that is too little.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["4 of 8 cpus"]))]
    pub missing_resources: Vec<String>,
    /// How many tasks of that worker have to end before it has enough, if the oldest end first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<u64>,
    /// How many tasks of the same group and tags are served first, counted up to 10,000; 10,001 means
    /// more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<u64>,
    /// When the worker claimed the task, sent its last heartbeat, or the task ended.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "timestamp::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub since: Option<Timestamp>,
    /// The job of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<i64>,
    /// The named limit that has no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitInfo>,
    /// When the state changes by itself: a lease expires, or the next attempt is due.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "timestamp::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub until: Option<Timestamp>,
}

/// Why a task is in its state.
///
/// A code that a reader does not know is read as [`ReasonCode::Unknown`]; the text still has the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReasonCode {
    /// Pending: the task that requested it has not been committed.
    WaitsForUpstream,
    /// Pending: a task of another job that it needs has not succeeded.
    WaitsForTask,
    /// Ready: no worker lists the group.
    NoWorker,
    /// Ready: workers list the group, but none with the role Write or Admin.
    RoleMissing,
    /// Ready: no worker that serves the group has all the tags.
    TagsMissing,
    /// Ready: every worker that could run it is draining.
    WorkersDraining,
    /// Ready: the coordinator has just started and has not heard from the workers yet. Running: it has not
    /// heard from the holder.
    CoordinatorJustStarted,
    /// Ready: the workers that are free have not been heard from for a long time.
    WorkersSilent,
    /// Ready: its job is paused.
    JobPaused,
    /// Ready: as many tasks of its job run as may run at the same time.
    JobAtLimit,
    /// Ready: a named limit that it uses has no room.
    LimitReached,
    /// Ready: the last attempt failed, and the next one is not due yet.
    RetryNotDue,
    /// Ready: no worker with all the tags offers what it requests.
    ResourcesMissing,
    /// Ready: no worker has enough of what it requests now.
    ResourcesBusy,
    /// Ready: every worker that could run it is busy.
    AllBusy,
    /// Ready: a worker is free and gets the task with its next request.
    NextInTurn,
    /// Running: the worker waits until the watched task reaches the target state.
    WaitsForWatched,
    /// Running: the worker has not been heard from for a long time; the task waits for its lease to expire.
    WorkerLost,
    /// Running: a worker runs it.
    Running,
    /// The command has ended; the worker stores its outputs.
    Storing,
    /// The task has ended.
    Ended,
    /// A code that this reader does not know.
    #[serde(other)]
    Unknown,
}
