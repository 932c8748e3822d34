//! Reports of a worker about a held task (§12.2).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::TaskResult;
use crate::agent::AttemptKey;
use crate::artifact::UploadArtifactRequest;
use crate::task::SubmitTaskRequest;

/// `POST /workers/tasks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportRequest {
    /// Internal number from the fetched task.
    pub id: i64,
    /// The kind of the report.
    pub op: ReportOp,
    /// The attempt, from a native worker, which may hold a task twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptKey>,
}

/// The kind of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum ReportOp {
    /// The command ended by itself.
    Finish,
    /// The command was killed at its timeout, or never started.
    Cancel,
    /// An artifact is about to be sent.
    Upload(UploadArtifactRequest),
    /// The task requests a follow-up task.
    Submit(Box<SubmitTaskRequest>),
    /// The task has ended with this result.
    Commit(TaskResult),
}

/// Reply to a report.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportReply {
    /// The upload link; null for every kind but `Upload`.
    pub url: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ArtifactKind, WaitStatus};

    #[test]
    fn operations_are_spelled_as_by_legacy_workers() {
        let spelled = |op| serde_json::to_string(&ReportRequest { id: 1007, op, attempt: None }).unwrap();
        assert_eq!(spelled(ReportOp::Finish), r#"{"id":1007,"op":"Finish"}"#);
        assert_eq!(
            spelled(ReportOp::Upload(UploadArtifactRequest {
                content_type: ArtifactKind::StdLog,
                content_length: 357
            })),
            r#"{"id":1007,"op":{"Upload":{"content_type":"std-log","content_length":357}}}"#
        );
        assert_eq!(
            spelled(ReportOp::Commit(TaskResult { exit_status: WaitStatus::exited(3), msg: None })),
            r#"{"id":1007,"op":{"Commit":{"exit_status":768,"msg":null}}}"#
        );
    }
}
