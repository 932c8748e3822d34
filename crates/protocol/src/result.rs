//! Results of tasks on the wire. Published clients refuse words in `msg` that they do not know, so newer reasons
//! have a field of their own beside it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::{TaskResult, TaskResultMessage};

/// How a task ended.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct WireResult {
    /// Raw POSIX wait status: exit code n is n × 256, death by signal s is s (+128 with a core dump).
    exit_status: i32,
    /// Why, where the status alone does not tell.
    #[serde(default)]
    msg: Option<Word>,
    /// Why, where `msg` has no word for it. Left out otherwise. Ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

/// Reasons that published clients know.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = TaskResultMessage)]
enum Word {
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
    /// The worker was lost in each of the attempts that a task gets.
    WorkersLost,
    /// A reason that this reader does not know.
    #[serde(other)]
    Unknown,
}

impl From<TaskResult> for WireResult {
    fn from(TaskResult { exit_status, msg }: TaskResult) -> Self {
        let (msg, reason) = match msg {
            Some(TaskResultMessage::FetchResourceTimeout) => (Some(Word::FetchResourceTimeout), None),
            Some(TaskResultMessage::ExecTimeout) => (Some(Word::ExecTimeout), None),
            Some(TaskResultMessage::UploadResultTimeout) => (Some(Word::UploadResultTimeout), None),
            Some(TaskResultMessage::ResourceNotFound) => (Some(Word::ResourceNotFound), None),
            Some(TaskResultMessage::ResourceForbidden) => (Some(Word::ResourceForbidden), None),
            Some(TaskResultMessage::WatchTimeout) => (Some(Word::WatchTimeout), None),
            Some(TaskResultMessage::UserCancellation) => (Some(Word::UserCancellation), None),
            Some(TaskResultMessage::SubmitNewTaskFailed) => (Some(Word::SubmitNewTaskFailed), None),
            Some(TaskResultMessage::WorkersLost) => (None, Some(Reason::WorkersLost)),
            None => (None, None),
        };
        Self { exit_status, msg, reason }
    }
}

impl From<WireResult> for TaskResult {
    fn from(WireResult { exit_status, msg, reason }: WireResult) -> Self {
        let msg = match (msg, reason) {
            (Some(Word::FetchResourceTimeout), _) => Some(TaskResultMessage::FetchResourceTimeout),
            (Some(Word::ExecTimeout), _) => Some(TaskResultMessage::ExecTimeout),
            (Some(Word::UploadResultTimeout), _) => Some(TaskResultMessage::UploadResultTimeout),
            (Some(Word::ResourceNotFound), _) => Some(TaskResultMessage::ResourceNotFound),
            (Some(Word::ResourceForbidden), _) => Some(TaskResultMessage::ResourceForbidden),
            (Some(Word::WatchTimeout), _) => Some(TaskResultMessage::WatchTimeout),
            (Some(Word::UserCancellation), _) => Some(TaskResultMessage::UserCancellation),
            (Some(Word::SubmitNewTaskFailed), _) => Some(TaskResultMessage::SubmitNewTaskFailed),
            (None, Some(Reason::WorkersLost)) => Some(TaskResultMessage::WorkersLost),
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
    fn known_reason_keeps_the_published_spelling() {
        let result = TaskResult { exit_status: 0, msg: Some(TaskResultMessage::UserCancellation) };
        let text = serde_json::to_string(&result).unwrap();
        assert_eq!(text, r#"{"exit_status":0,"msg":"UserCancellation"}"#);
        assert_eq!(serde_json::from_str::<TaskResult>(&text).unwrap(), result);
    }

    #[test]
    fn newer_reason_is_null_to_published_clients() {
        let result = TaskResult { exit_status: 0, msg: Some(TaskResultMessage::WorkersLost) };
        let text = serde_json::to_string(&result).unwrap();
        assert_eq!(text, r#"{"exit_status":0,"msg":null,"reason":"workers_lost"}"#);
        assert_eq!(serde_json::from_str::<TaskResult>(&text).unwrap(), result);
        let newer = r#"{"exit_status":0,"msg":null,"reason":"of_tomorrow"}"#;
        assert_eq!(serde_json::from_str::<TaskResult>(newer).unwrap().msg, None);
    }
}
