//! What an agent of ours says instead of a report and a fetch (native API): one request for each task.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::TaskResult;
use crate::worker::FetchedTask;

/// `POST /v1/workers/next`: ends the task in hand, if there is one, and asks for another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NextRequest {
    /// What became of the task in hand.
    #[serde(default)]
    pub done: Option<Done>,
    /// How long to hold the request when nothing waits.
    #[schema(value_type = Option<String>, example = "2s")]
    #[serde(default, with = "crate::duration::optional_text")]
    pub wait: Option<Duration>,
}

/// A task that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Done {
    /// Internal number from the fetched task.
    pub id: i64,
    /// Whether the command was killed at its timeout, or never started.
    pub cancelled: bool,
    /// Its result.
    pub result: TaskResult,
}

/// Reply to [`NextRequest`]. Repeating a request whose reply was lost gives the same reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NextReply {
    /// Whether the result was taken; false when the task had been taken back, null when none was sent.
    pub accepted: Option<bool>,
    /// The next task, if one waits.
    pub task: Option<FetchedTask>,
}
