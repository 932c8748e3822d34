//! Live output of running tasks. It is native; the contract has no counterpart.
//!
//! Nothing is sent until a client follows. A follower requests bytes from an offset on each stream; the
//! coordinator passes the lowest offsets on to the worker as a *demand*; the worker answers with a *chunk* and
//! receives the next demand. The coordinator stores no bytes: a follower that reconnects requests the bytes
//! after the last one it has received, and after the end reads the rest from the `std-log` artifact.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ResultWarning, TaskResult, Timestamp, Uuid, duration};

/// Most bytes of one stream in one chunk.
pub const MAX_CHUNK_BYTES: usize = 256 * 1024;

/// The header with the offset of the first byte of a reply to [`LogsQuery`] for one stream: of an ended task counted as they
/// are stored, otherwise as the command wrote them.
pub const LOG_OFFSET_HEADER: &str = "mitosis-log-offset";

/// Most lines in [`LogsQuery::tail`].
pub const MAX_TAIL_LINES: u64 = 100_000;

/// Most tasks in one [`OutputsRequest`].
pub const MAX_OUTPUTS: usize = 128;

/// One of the two output streams of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl OutputStream {
    /// The name of the stream's file in a `std-log` archive.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout.log",
            Self::Stderr => "stderr.log",
        }
    }
}

/// A position in the output of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogPosition {
    /// The last lines of each stream.
    Tail {
        /// How many lines.
        lines: u64,
    },
    /// What was written since a time, on the clock of the worker.
    Since {
        /// The time.
        #[schema(value_type = String)]
        at: Timestamp,
    },
}

/// A position that a worker has found in the output of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Located {
    /// The position.
    pub position: LogPosition,
    /// Its offset in standard output.
    pub stdout: u64,
    /// Its offset in standard error.
    pub stderr: u64,
}

/// Query of `GET /v1/tasks/{uuid}/output`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FollowQuery {
    /// The first requested byte of standard output.
    #[serde(default)]
    pub stdout: u64,
    /// The first requested byte of standard error.
    #[serde(default)]
    pub stderr: u64,
    /// Send the last lines of each stream that are there, and what follows, instead of bytes from the offsets on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u64>,
    /// Send what was written since this time, instead of bytes from the offsets on: a time, or a duration before now,
    /// such as `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The attempt whose output is followed. If it has ended, the reply comes at once; its output is that of
    /// `GET /v1/tasks/{uuid}/logs?attempt=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
    /// How long the coordinator may hold the request when there is nothing to send; at most 20 s.
    #[serde(with = "duration::optional_text", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "1h 30m")]
    pub wait: Option<Duration>,
}

/// Query of `GET /v1/tasks/{uuid}/logs`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogsQuery {
    /// One stream only. Without it, standard output comes first, then standard error; in the output of a running task
    /// they come as they are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<OutputStream>,
    /// The first byte to send, counted as the command wrote them. Requires `stream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The first byte to send of the output of an ended task, counted as they are stored: to resume a download. Requires
    /// `stream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_offset: Option<u64>,
    /// Only the last lines of each stream; at most [`MAX_TAIL_LINES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u64>,
    /// Only what was written since this time: a time, or a duration before now, such as `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Whether to send new output until the task ends, with that of further attempts.
    #[serde(default)]
    pub follow: bool,
    /// The output of this attempt, from 1, if it has ended or runs. Without it, that of the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
}

/// The reply to a follower: new output from the requested offsets on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FollowReply {
    /// Bytes of standard output, in base64.
    #[serde(default, with = "crate::base64_bytes")]
    #[schema(value_type = String, content_encoding = "base64")]
    pub stdout: Vec<u8>,
    /// Bytes of standard error, in base64.
    #[serde(default, with = "crate::base64_bytes")]
    #[schema(value_type = String, content_encoding = "base64")]
    pub stderr: Vec<u8>,
    /// The offset of the first byte of `stdout`, if it is not the requested one: because the request has a `tail` or
    /// `since`, or because the bytes before it are not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout_offset: Option<u64>,
    /// The same for `stderr`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr_offset: Option<u64>,
    /// The state of the task.
    pub state: crate::TaskState,
    /// The number of the current or last attempt, from 1; none before the first. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
    /// Whether the task has ended; output that is missing then is in its `std-log` artifact.
    #[serde(default)]
    pub result: Option<crate::TaskResult>,
    /// Warnings about outputs that were not stored; left out if there are none. Native.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<crate::ResultWarning>,
}

/// The reply to `GET /v1/workers/tasks/{uuid}/output?wait=20s` and to every chunk: the bytes that followers
/// request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputDemand {
    /// The first requested byte of standard output; null without followers.
    #[serde(default)]
    pub stdout: Option<u64>,
    /// The first requested byte of standard error; null without followers.
    #[serde(default)]
    pub stderr: Option<u64>,
    /// A position to find; the next chunk contains its offsets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locate: Option<LogPosition>,
}

/// `POST /v1/tasks/outputs`: how tasks ended, and what they wrote.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct OutputsRequest {
    /// The tasks, at most [`MAX_OUTPUTS`].
    pub tasks: Vec<Uuid>,
    /// How long to hold the request until the first task of the list has ended, at most 20 seconds.
    #[schema(value_type = Option<String>, example = "10s")]
    #[serde(default, with = "crate::duration::optional_text")]
    pub wait: Option<Duration>,
}

/// Reply to [`OutputsRequest`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct OutputsReply {
    /// Those of the tasks that have ended, in the order of the request. Tasks that don't exist or that the caller may
    /// not see are left out.
    pub outputs: Vec<EndedOutput>,
}

/// How a task ended, and what it wrote.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EndedOutput {
    /// The task.
    pub uuid: Uuid,
    /// Its result.
    pub result: TaskResult,
    /// Warnings about outputs that were not stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<ResultWarning>,
    /// Its output, if any is kept.
    pub log: Option<EndedLog>,
}

/// The output of an ended task.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndedLog {
    /// A short one: the `std-log` archive, a `.tar.gz` file in base64.
    Archive {
        /// The file.
        #[serde(with = "crate::base64_bytes")]
        #[schema(value_type = String, content_encoding = "base64")]
        bytes: Bytes,
    },
    /// A longer one, in the object store: download the artifact.
    Object,
}

/// `POST /v1/workers/tasks/{uuid}/output`: the bytes that a demand requested.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputChunk {
    /// Offset of the first byte of `stdout`. It is larger than requested if the bytes before it are not kept.
    pub stdout_offset: u64,
    /// How many bytes of standard output before that offset are not kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stdout_omitted: u64,
    /// Bytes of standard output, in base64; at most [`MAX_CHUNK_BYTES`].
    #[serde(default, with = "crate::base64_bytes")]
    #[schema(value_type = String, content_encoding = "base64")]
    pub stdout: Vec<u8>,
    /// Offset of the first byte of `stderr`.
    pub stderr_offset: u64,
    /// How many bytes of standard error before that offset are not kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stderr_omitted: u64,
    /// Bytes of standard error, in base64; at most [`MAX_CHUNK_BYTES`].
    #[serde(default, with = "crate::base64_bytes")]
    #[schema(value_type = String, content_encoding = "base64")]
    pub stderr: Vec<u8>,
    /// The position that the demand asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub located: Option<Located>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_output_is_preserved() {
        let chunk = OutputChunk { stdout: vec![0xff, 0, 0xfe], ..OutputChunk::default() };
        let json = serde_json::to_string(&chunk).unwrap();
        assert_eq!(serde_json::from_str::<OutputChunk>(&json).unwrap(), chunk);
    }
}
