//! Task results on the wire. 0.6.8 clients reject unknown values of `msg`, so newer reasons have their own
//! field.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::{TaskResult, TaskResultMessage, WaitStatus};

/// How a task ended.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct WireResult {
    /// Raw POSIX wait status: exit code n is n × 256, death by signal s is s (+128 with a core dump).
    #[schema(value_type = i32)]
    exit_status: WaitStatus,
    /// The reason, if the status alone is not enough.
    #[serde(default)]
    msg: Option<LegacyMessage>,
    /// The reason, if `msg` has no value for it; left out otherwise. Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

/// Reasons that 0.6.8 clients know.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = TaskResultMessage)]
enum LegacyMessage {
    FetchResourceTimeout,
    ExecTimeout,
    UploadResultTimeout,
    ResourceNotFound,
    ResourceForbidden,
    WatchTimeout,
    UserCancellation,
    SubmitNewTaskFailed,
}

/// Reasons that only native clients know.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TaskResultReason)]
enum Reason {
    /// The worker was lost in each of the allowed attempts.
    WorkersLost,
    /// The worker can't use the directory that the task requires.
    DirectoryUnavailable,
    /// A task of another job that it needs did not succeed.
    DependencyFailed,
    /// The command used more memory than it may.
    Oom,
    /// The command wrote more output than its worker keeps.
    OutputLimit,
    /// The command could not be started.
    SpawnFailed,
    /// A reason that this reader does not know.
    #[serde(other)]
    Unknown,
}

impl From<TaskResult> for WireResult {
    fn from(TaskResult { exit_status, msg }: TaskResult) -> Self {
        let (msg, reason) = match msg {
            Some(TaskResultMessage::FetchResourceTimeout) => {
                (Some(LegacyMessage::FetchResourceTimeout), None)
            }
            Some(TaskResultMessage::ExecTimeout) => (Some(LegacyMessage::ExecTimeout), None),
            Some(TaskResultMessage::UploadResultTimeout) => (Some(LegacyMessage::UploadResultTimeout), None),
            Some(TaskResultMessage::ResourceNotFound) => (Some(LegacyMessage::ResourceNotFound), None),
            Some(TaskResultMessage::ResourceForbidden) => (Some(LegacyMessage::ResourceForbidden), None),
            Some(TaskResultMessage::WatchTimeout) => (Some(LegacyMessage::WatchTimeout), None),
            Some(TaskResultMessage::UserCancellation) => (Some(LegacyMessage::UserCancellation), None),
            Some(TaskResultMessage::SubmitNewTaskFailed) => (Some(LegacyMessage::SubmitNewTaskFailed), None),
            Some(TaskResultMessage::WorkersLost) => (None, Some(Reason::WorkersLost)),
            Some(TaskResultMessage::DirectoryUnavailable) => (None, Some(Reason::DirectoryUnavailable)),
            Some(TaskResultMessage::DependencyFailed) => (None, Some(Reason::DependencyFailed)),
            Some(TaskResultMessage::OutOfMemory) => (None, Some(Reason::Oom)),
            Some(TaskResultMessage::OutputLimit) => (None, Some(Reason::OutputLimit)),
            Some(TaskResultMessage::SpawnFailed) => (None, Some(Reason::SpawnFailed)),
            None => (None, None),
        };
        Self { exit_status, msg, reason }
    }
}

impl From<WireResult> for TaskResult {
    fn from(WireResult { exit_status, msg, reason }: WireResult) -> Self {
        let msg = match (msg, reason) {
            (Some(LegacyMessage::FetchResourceTimeout), _) => Some(TaskResultMessage::FetchResourceTimeout),
            (Some(LegacyMessage::ExecTimeout), _) => Some(TaskResultMessage::ExecTimeout),
            (Some(LegacyMessage::UploadResultTimeout), _) => Some(TaskResultMessage::UploadResultTimeout),
            (Some(LegacyMessage::ResourceNotFound), _) => Some(TaskResultMessage::ResourceNotFound),
            (Some(LegacyMessage::ResourceForbidden), _) => Some(TaskResultMessage::ResourceForbidden),
            (Some(LegacyMessage::WatchTimeout), _) => Some(TaskResultMessage::WatchTimeout),
            (Some(LegacyMessage::UserCancellation), _) => Some(TaskResultMessage::UserCancellation),
            (Some(LegacyMessage::SubmitNewTaskFailed), _) => Some(TaskResultMessage::SubmitNewTaskFailed),
            (None, Some(Reason::WorkersLost)) => Some(TaskResultMessage::WorkersLost),
            (None, Some(Reason::DirectoryUnavailable)) => Some(TaskResultMessage::DirectoryUnavailable),
            (None, Some(Reason::DependencyFailed)) => Some(TaskResultMessage::DependencyFailed),
            (None, Some(Reason::Oom)) => Some(TaskResultMessage::OutOfMemory),
            (None, Some(Reason::OutputLimit)) => Some(TaskResultMessage::OutputLimit),
            (None, Some(Reason::SpawnFailed)) => Some(TaskResultMessage::SpawnFailed),
            (None, Some(Reason::Unknown) | None) => None,
        };
        Self { exit_status, msg }
    }
}

impl PartialSchema for TaskResult {
    fn schema() -> RefOr<Schema> {
        WireResult::schema()
    }
}

impl ToSchema for TaskResult {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("TaskResult")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        WireResult::schemas(schemas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_reason_keeps_the_legacy_spelling() {
        let result =
            TaskResult { exit_status: WaitStatus::SUCCESS, msg: Some(TaskResultMessage::UserCancellation) };
        let text = serde_json::to_string(&result).unwrap();
        assert_eq!(text, r#"{"exit_status":0,"msg":"UserCancellation"}"#);
        assert_eq!(serde_json::from_str::<TaskResult>(&text).unwrap(), result);
    }

    #[test]
    fn newer_reason_is_null_for_legacy_clients() {
        for (msg, reason) in [
            (TaskResultMessage::WorkersLost, "workers_lost"),
            (TaskResultMessage::DirectoryUnavailable, "directory_unavailable"),
            (TaskResultMessage::DependencyFailed, "dependency_failed"),
            (TaskResultMessage::OutOfMemory, "oom"),
            (TaskResultMessage::OutputLimit, "output_limit"),
            (TaskResultMessage::SpawnFailed, "spawn_failed"),
        ] {
            let result = TaskResult { exit_status: WaitStatus::SUCCESS, msg: Some(msg) };
            let text = serde_json::to_string(&result).unwrap();
            assert_eq!(text, format!(r#"{{"exit_status":0,"msg":null,"reason":"{reason}"}}"#));
            assert_eq!(serde_json::from_str::<TaskResult>(&text).unwrap(), result);
        }
        let newer = r#"{"exit_status":0,"msg":null,"reason":"of_tomorrow"}"#;
        assert_eq!(serde_json::from_str::<TaskResult>(newer).unwrap().msg, None);
    }
}
