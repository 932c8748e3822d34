//! Maps the end of a task to an exit code of this process.

use mitosis_client::UserClient;
use mitosis_protocol::events::TaskEvent;
use mitosis_protocol::output::FollowReply;
use mitosis_protocol::{ResultWarning, ShellCode, TaskInfo, TaskResult, TaskResultMessage, Uuid};

use crate::process::exit::Exit;
use crate::show::text::escaped;
use crate::task_io::missing_resources;

/// The result of a task, with warnings about lost output.
#[derive(Debug, Clone)]
pub(crate) struct TaskExit {
    pub(crate) result: TaskResult,
    pub(crate) warnings: Vec<ResultWarning>,
}

impl TaskExit {
    /// Returns the exit of a task, if it has ended.
    pub(crate) fn from_info(info: &TaskInfo) -> Option<Self> {
        Some(Self { result: info.result?, warnings: info.warnings.clone() })
    }

    /// Returns the exit from an event, if the task has ended.
    pub(crate) fn from_event(event: &TaskEvent) -> Option<Self> {
        Some(Self { result: event.result?, warnings: event.warnings.clone() })
    }

    /// Returns the exit from a reply to a follower, if the task has ended.
    pub(crate) fn from_reply(reply: FollowReply) -> Option<Self> {
        Some(Self { result: reply.result?, warnings: reply.warnings })
    }

    /// The exit code of this process.
    pub(crate) fn code(&self) -> ShellCode {
        self.code_and_reason().0
    }

    /// The exit code, and a reason if the code alone is not sufficient.
    fn code_and_reason(&self) -> (ShellCode, Option<&'static str>) {
        use TaskResultMessage as M;
        let own = self.result.exit_status.shell_code();
        let is_lost = self.warnings.iter().any(ResultWarning::is_loss);
        let (code, word) = match self.result.msg {
            // Incomplete output is never a success.
            None | Some(M::UploadResultTimeout | M::SubmitNewTaskFailed) if own.is_success() && is_lost => {
                (Exit::OutputLost.into(), "exited with code 0, but not all of its output could be stored")
            }
            None if is_lost => (own, "not all of its output could be stored"),
            None => return (own, None),
            Some(M::SubmitNewTaskFailed) => (own, "its follow-up task was rejected"),
            Some(M::UploadResultTimeout) if own.is_success() => {
                (Exit::OutputLost.into(), "exited with code 0, but not all of its output could be stored")
            }
            Some(M::UploadResultTimeout) => (own, "not all of its output could be stored"),
            Some(M::ExecTimeout) => (Exit::TimedOut.into(), "stopped at its timeout"),
            Some(M::FetchResourceTimeout) => {
                (Exit::Unknown.into(), "not started: downloading a resource took too long")
            }
            Some(M::ResourceNotFound) => (Exit::Unknown.into(), "not started: a resource does not exist"),
            Some(M::ResourceForbidden) => {
                (Exit::Unknown.into(), "not started: access to a resource was denied")
            }
            Some(M::WatchTimeout) => {
                (Exit::Unknown.into(), "not started: the watched task did not reach the state")
            }
            Some(M::WorkersLost) => (Exit::Unknown.into(), "cancelled: each of its attempts lost its worker"),
            Some(M::DirectoryUnavailable) => {
                (Exit::Unknown.into(), "not started: its worker can't use the directory of the task")
            }
            Some(M::DependencyFailed) => {
                (Exit::Unknown.into(), "cancelled: a task that it needs did not succeed")
            }
            Some(M::OutOfMemory) => (own, "stopped: it used more memory than it may"),
            Some(M::OutputLimit) => (own, "stopped: it wrote more output than its worker keeps"),
            Some(M::SpawnFailed) => (own, "its command can't be started"),
            Some(M::UserCancellation) => (Exit::Unknown.into(), "cancelled by a user"),
        };
        (code, Some(word))
    }

    /// The exit code, and details that it does not show: the reason, missing resources, and lost output.
    pub(crate) async fn describe(&self, user: &UserClient, task: Uuid) -> (ShellCode, Option<String>) {
        let (code, word) = self.code_and_reason();
        let mut lines = Vec::new();
        if let Some(word) = word {
            let more = missing_resources::describe(user, task, self.result).await;
            lines.push(escaped(&format!("{word}{more}")));
        }
        let indent = if word.is_some() { "  " } else { "" };
        let warnings = self.warnings.iter().map(|warning| escaped(&format!("{indent}warning: {warning}")));
        lines.extend(warnings);
        let description = (!lines.is_empty()).then(|| lines.join("\n"));
        (code, description)
    }
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::{WaitStatus, WarningCode};

    use super::*;

    #[test]
    fn lost_output_is_a_failure() {
        let code = |exit_status, msg, warnings| {
            TaskExit { result: TaskResult { exit_status: WaitStatus(exit_status), msg }, warnings }.code().0
        };
        let lost = || vec![ResultWarning::new(WarningCode::NotStored, None, "it is not stored")];
        let incomplete = Some(TaskResultMessage::UploadResultTimeout);
        assert_eq!(code(0, None, Vec::new()), 0);
        assert_eq!(code(0, None, lost()), 74);
        assert_eq!(code(0, incomplete, lost()), 74);
        // Older coordinators report nothing else.
        assert_eq!(code(0, incomplete, Vec::new()), 74);
        assert_eq!(code(7 << 8, incomplete, lost()), 7, "what failed by itself says how");
    }
}
