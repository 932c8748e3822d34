//! The agent protocol (native API): one worker with many slots, many tasks in one request.
//!
//! An agent sends two kinds of requests side by side. `poll` is held for a while and brings everything urgent:
//! tasks for an idle agent, commands to stop, output that a client follows, the order to drain. `report` is
//! short: it delivers what ended and brings the next tasks. Both can be repeated.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::usage::AttemptUsage;
use crate::worker::FetchedTask;
use crate::{ArtifactKind, Epoch, ExecState, LeaseToken, ResultWarning, TaskResult, Uuid};

/// Largest result in `result.json`, in bytes.
pub const MAX_DATA_BYTES: usize = 16 * 1024;
/// Most bytes of the archives in an [`EndedTask`], together. Larger archives are uploaded.
pub const MAX_INLINE_BYTES: usize = 64 * 1024;
/// Most attempts in one report, and most tasks in one reply.
pub const MAX_BATCH: usize = 1_000;

/// Identifies an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct AttemptRef {
    /// The internal number of the task.
    pub id: i64,
    /// The number of the attempt, from 1.
    #[schema(value_type = i64)]
    pub epoch: Epoch,
}

/// The proof that an attempt is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct AttemptKey {
    /// The internal number of the task.
    pub id: i64,
    /// The number of the attempt, from 1.
    #[schema(value_type = i64)]
    pub epoch: Epoch,
    /// A random number that only the holder knows.
    #[schema(value_type = i64)]
    pub token: LeaseToken,
}

/// An assigned task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AssignedTask {
    /// The task, as 0.6.8 workers receive it.
    pub task: FetchedTask,
    /// The number of the attempt, from 1.
    #[schema(value_type = i64)]
    pub epoch: Epoch,
    /// The token to send with every report on the task.
    #[schema(value_type = i64)]
    pub token: LeaseToken,
    /// The internal number of the group that owns the task.
    #[serde(default)]
    pub group: i64,
    /// The priority within the group, which also orders the agent's queue. A larger one is served first.
    #[serde(default)]
    pub priority: i32,
}

/// An ended attempt.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EndedTask {
    /// The attempt.
    pub key: AttemptKey,
    /// Whether the command was killed at its timeout or by a user, or never started.
    pub cancelled: bool,
    /// The result.
    pub result: TaskResult,
    /// Whether the attempt announced archives, which then have to be in the object store.
    #[serde(default)]
    pub left_archives: bool,
    /// The JSON object in `result.json`, at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub data: Option<Box<RawValue>>,
    /// Warnings about outputs that were not stored; at most 16, further ones are dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<ResultWarning>,
    /// The archives of the attempt, if they are small: together at most 64 KiB, one of each kind, in the order in
    /// which they are stored while the storage quota lasts. Only for a coordinator that announces
    /// [`PollReply::inline_bytes`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub archives: Vec<InlineArchive>,
    /// What its command used; absent if it was not started, and from agents that don't measure it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<AttemptUsage>,
}

/// An archive that travels with the report of its attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InlineArchive {
    /// The kind of the archive.
    pub kind: ArtifactKind,
    /// The `.tar.gz` file, in base64.
    #[serde(with = "crate::base64_bytes")]
    #[schema(value_type = String, content_encoding = "base64")]
    pub bytes: Bytes,
}

/// The execution state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LiveState {
    /// The task.
    pub task: Uuid,
    /// The state.
    pub state: ExecState,
}

/// `POST /v1/agents/report`: ended attempts, and a request for tasks.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ReportBatch {
    /// Ended attempts.
    #[serde(default)]
    pub ended: Vec<EndedTask>,
    /// Attempts that were not started and have to be requeued.
    #[serde(default)]
    pub returned: Vec<AttemptKey>,
    /// How many tasks of the default request the agent wants.
    #[serde(default)]
    pub want: u32,
    /// Whether it can start a task with another request, even if it wants none of the default one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_room: bool,
    /// States of held tasks, oldest first, if they are wanted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<LiveState>,
}

/// The coordinator's answer to a reported attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptVerdict {
    /// The result is committed, now or by an earlier report.
    Accepted,
    /// The task was requeued or ended before; the result is discarded.
    Stale,
}

/// Reply to [`ReportBatch`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ReportBatchReply {
    /// One verdict for each ended attempt, in order.
    pub verdicts: Vec<AttemptVerdict>,
    /// The next tasks.
    pub tasks: Vec<AssignedTask>,
    /// Whether the agent has to drain.
    pub drain: bool,
}

/// `POST /v1/agents/poll`: held until there is news, or until `wait` has passed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct PollRequest {
    /// How many tasks of the default request the agent wants.
    #[serde(default)]
    pub want: u32,
    /// Whether it can start a task with another request, even if it wants none of the default one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_room: bool,
    /// Every attempt that the agent holds: running, waiting for a slot, or ended and not reported yet.
    #[serde(default)]
    pub held: Vec<AttemptRef>,
    /// Whether the agent is draining.
    #[serde(default)]
    pub draining: bool,
    /// Whether to compare `held` with the coordinator's records at once, because a reply may have been lost.
    #[serde(default)]
    pub resync: bool,
    /// Whether the agent reports the states of tasks itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tells_states: bool,
    /// Whether the agent knows the directory, the files and the standard input of a task. For others, the coordinator
    /// translates them into a command.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub knows_surroundings: bool,
    /// Whether the agent masks secrets in the output. For others, they are variables of the command like any other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub knows_secrets: bool,
    /// The number of the last numbered reply that was received, at first 0; null from agents without this
    /// feature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<u64>,
    /// How long to hold the request, at most 20 seconds.
    #[schema(value_type = Option<String>, example = "1s")]
    #[serde(default, with = "crate::duration::optional_text")]
    pub wait: Option<Duration>,
}

/// Reply to [`PollRequest`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct PollReply {
    /// New tasks, and tasks whose assignment may have been lost.
    pub tasks: Vec<AssignedTask>,
    /// Attempts that the agent does not hold any more: kill them, and report nothing.
    pub dropped: Vec<AttemptRef>,
    /// Attempts that a user stops: end them, and report them as cancelled.
    pub stop: Vec<AttemptRef>,
    /// Tasks whose live output a client follows.
    pub followed: Vec<Uuid>,
    /// Tasks whose states are watched: report the present state, and each that follows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<Uuid>,
    /// Whether the states of all tasks are wanted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub announce: bool,
    /// Whether the agent has to drain.
    pub drain: bool,
    /// The number of this reply. Its content is repeated until a request acknowledges the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Silence after which the agent's tasks are requeued, counted from when it sent this request; null if the
    /// renewal was not stored in time.
    #[schema(value_type = Option<String>, example = "10min")]
    #[serde(default, with = "crate::duration::optional_text")]
    pub lease: Option<Duration>,
    /// Silence after which the agent is missed and gets no new tasks; at most `lease`, and null with it.
    #[schema(value_type = Option<String>, example = "30s")]
    #[serde(default, with = "crate::duration::optional_text", skip_serializing_if = "Option::is_none")]
    pub missed_after: Option<Duration>,
    /// Up to how many bytes the archives of an attempt may travel with its report; null from a coordinator without
    /// this feature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline_bytes: Option<usize>,
}

impl PollReply {
    /// Whether the reply has no news. Lasting values such as the lease don't count.
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
            inline_bytes: _,
        } = self;
        let names_none = dropped.is_empty() && stop.is_empty() && followed.is_empty() && watched.is_empty();
        tasks.is_empty() && names_none && !drain
    }
}

/// Reply to `GET /v1/workers/tasks/{uuid}/reached`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReachedReply {
    /// Whether the task has reached the requested state.
    pub reached: bool,
}
