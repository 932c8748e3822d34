//! Why a task waits, or what became of it (native API).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{TaskState, Timestamp};

/// `GET /v1/tasks/{uuid}/explain`: for a person `text` and `hint`, for a program `code` and the facts
/// behind it. Facts that do not belong to the code are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The task.
    pub uuid: Uuid,
    /// Where it stands.
    pub state: TaskState,
    /// Why, as a stable word.
    pub code: ReasonCode,
    /// Why, as a sentence or two.
    pub text: String,
    /// What can be done about it, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What the text says, as data.
    #[serde(flatten)]
    pub facts: ReasonFacts,
}

/// The facts behind a reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReasonFacts {
    /// Another task that this one waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Uuid>,
    /// The worker that has the task or had it last; with `tags_missing` the one that lacks the fewest tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Uuid>,
    /// How many workers the text speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u64>,
    /// What the nearest worker lacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_tags: Vec<String>,
    /// Tasks of the same group with the same tags that go first, counted up to 10,000; 10,001 stands for
    /// more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<u64>,
    /// When the worker got the task, was heard last, or the task ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When the next thing happens by itself: a lease ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Why a task stands where it stands.
///
/// A reader that meets a code it does not know gets [`ReasonCode::Unknown`]; the text still says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReasonCode {
    /// Pending: the task that asked for it has not been committed.
    WaitsForUpstream,
    /// Ready: no worker lists the group.
    NoWorker,
    /// Ready: workers list the group, but none with the role Write or Admin.
    RoleMissing,
    /// Ready: no worker that serves the group has all the tags.
    TagsMissing,
    /// Ready: every worker that could run it stops after its present task.
    WorkersDraining,
    /// Ready: the coordinator has just started and has not heard from the workers yet. Running: nor from
    /// the one that has the task.
    CoordinatorJustStarted,
    /// Ready: the workers that are free have not been heard from for a long time.
    WorkersSilent,
    /// Ready: every worker that could run it is at work.
    AllBusy,
    /// Ready: a worker is free and gets it when it asks next.
    NextInTurn,
    /// Running: the worker waits until the watched task has come far enough.
    WaitsForWatched,
    /// Running: the worker has not been heard from for a long time; the task waits for its lease to end.
    WorkerLost,
    /// Running: a worker is at work on it.
    Running,
    /// The command has ended; the worker stores what it left behind.
    Storing,
    /// Over.
    Ended,
    /// A code that this reader does not know.
    #[serde(other)]
    Unknown,
}
