//! What an agent of ours says (native API): one worker with many slots, many tasks in one request.
//!
//! Two requests go side by side. `poll` is held for a while and brings what can't wait to be asked for:
//! tasks for an idle agent, commands to be stopped, output that somebody follows, the order to drain.
//! `report` is short: it hands in what ended and brings the next tasks. Both can be repeated.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::worker::FetchedTask;
use crate::{ExecState, ResultWarning, TaskResult, Uuid};

/// Most bytes of the small result that a task leaves in `result.json`.
pub const MAX_DATA_BYTES: usize = 16 * 1024;
/// Most attempts in one report, and most tasks in one reply.
pub const MAX_BATCH: usize = 1_000;

/// Names an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct AttemptRef {
    /// Internal number of the task.
    pub id: i64,
    /// Which attempt, from 1.
    pub epoch: i64,
}

/// Proves that an attempt is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct AttemptKey {
    /// Internal number of the task.
    pub id: i64,
    /// Which attempt, from 1.
    pub epoch: i64,
    /// A number that only the holder was told.
    pub token: i64,
}

/// A task that was handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AssignedTask {
    /// The task, as published workers get it.
    pub task: FetchedTask,
    /// Which attempt, from 1.
    pub epoch: i64,
    /// To be shown with every report on it.
    pub token: i64,
    /// Internal number of the group that the task belongs to.
    #[serde(default)]
    pub group: i64,
    /// Larger goes before smaller within the group, also in the agent's hand.
    #[serde(default)]
    pub priority: i32,
}

/// An attempt that is over.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EndedTask {
    /// The attempt.
    pub key: AttemptKey,
    /// Whether the command was killed at its timeout or by a user, or never started.
    pub cancelled: bool,
    /// Its result.
    pub result: TaskResult,
    /// Whether it announced archives, which then have to be in the object store.
    #[serde(default)]
    pub left_archives: bool,
    /// The JSON object that the task left in `result.json`, at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub data: Option<Box<RawValue>>,
    /// What of its output was not kept; at most 16, what is beyond that is dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<ResultWarning>,
}

/// How far an agent is with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LiveState {
    /// The task.
    pub task: Uuid,
    /// Where it stands.
    pub state: ExecState,
}

/// `POST /v1/agents/report`: what ended, and how much more the agent would take.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ReportBatch {
    /// Attempts that are over.
    #[serde(default)]
    pub ended: Vec<EndedTask>,
    /// Attempts that were not started, and shall wait for somebody else.
    #[serde(default)]
    pub returned: Vec<AttemptKey>,
    /// How many tasks it would take.
    #[serde(default)]
    pub want: u32,
    /// States that tasks in hand came to, oldest first, where that matters to somebody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<LiveState>,
}

/// What became of an attempt that was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptVerdict {
    /// The task is over with this result; so it is when the report is repeated.
    Accepted,
    /// The task had been taken back; the result is not wanted any more.
    Stale,
}

/// Reply to [`ReportBatch`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ReportBatchReply {
    /// One for each attempt that ended, in order.
    pub verdicts: Vec<AttemptVerdict>,
    /// The next tasks.
    pub tasks: Vec<AssignedTask>,
    /// The agent shall take no more tasks, and end with what it holds.
    pub drain: bool,
}

/// `POST /v1/agents/poll`: held until there is something to say, or `wait` is over.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct PollRequest {
    /// How many tasks it would take.
    #[serde(default)]
    pub want: u32,
    /// Every attempt it has in hand: running, waiting for a slot, or ended and not reported yet.
    #[serde(default)]
    pub held: Vec<AttemptRef>,
    /// Whether it knows that it shall take no more tasks.
    #[serde(default)]
    pub draining: bool,
    /// Compare `held` with what the coordinator knows at once: a reply may have been lost.
    #[serde(default)]
    pub resync: bool,
    /// Whether it announces states by itself, in its reports.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tells_states: bool,
    /// The number of the last reply that came and had one, at first 0; null from agents that do not know numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<u64>,
    /// How long to hold the request; 20 seconds at most.
    #[schema(value_type = Option<String>, example = "1s")]
    #[serde(default, with = "crate::duration::optional_text")]
    pub wait: Option<Duration>,
}

/// Reply to [`PollRequest`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct PollReply {
    /// New tasks, and tasks whose handing out was not heard of.
    pub tasks: Vec<AssignedTask>,
    /// Attempts that are not the agent's any more: kill what runs, and report nothing.
    pub dropped: Vec<AttemptRef>,
    /// Attempts that a user wants to be stopped: end them, and report them as cancelled.
    pub stop: Vec<AttemptRef>,
    /// Attempts whose live output somebody waits for.
    pub followed: Vec<Uuid>,
    /// Tasks whose states matter to a task that watches them: report the present one, and each that follows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<Uuid>,
    /// The states of all tasks matter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub announce: bool,
    /// The agent shall take no more tasks, and end with what it holds.
    pub drain: bool,
    /// What this reply tells is told again, unless the next request has heard this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// After how much silence the agent's tasks are given to others, counted from when it sent this request;
    /// null when the request was answered before that was written down.
    #[schema(value_type = Option<String>, example = "10min")]
    #[serde(default, with = "crate::duration::optional_text")]
    pub lease: Option<Duration>,
    /// After how much silence the agent counts as missed and gets no new tasks; never more than `lease`, and
    /// null with it.
    #[schema(value_type = Option<String>, example = "30s")]
    #[serde(default, with = "crate::duration::optional_text", skip_serializing_if = "Option::is_none")]
    pub missed_after: Option<Duration>,
}

impl PollReply {
    /// Whether it tells nothing. What holds for longer, as a lease does, is not counted.
    pub fn is_empty(&self) -> bool {
        let Self {
            tasks,
            dropped,
            stop,
            followed,
            watched,
            announce: _,
            drain,
            number: _,
            lease: _,
            missed_after: _,
        } = self;
        let names_none = dropped.is_empty() && stop.is_empty() && followed.is_empty() && watched.is_empty();
        tasks.is_empty() && names_none && !drain
    }
}

/// Reply to `GET /v1/workers/tasks/{uuid}/reached`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReachedReply {
    /// Whether the task has come as far as was asked.
    pub reached: bool,
}
