//! The end of a task as the end of this process.

use mitosis_client::UserClient;
use mitosis_domain::wait_status::WaitStatus;
use mitosis_protocol::{TaskResult, TaskResultMessage, Uuid};

use crate::exit::Exit;
use crate::missing;
use crate::show::text::escaped;

/// The code for a task that is over, and what to say where the code alone does not tell.
pub(crate) fn code(result: TaskResult) -> (u8, Option<&'static str>) {
    use TaskResultMessage as M;
    let own = WaitStatus::from_raw(result.exit_status).shell_code();
    let (code, word) = match result.msg {
        None => return (own, None),
        Some(M::SubmitNewTaskFailed) => (own, "its follow-up task was not taken"),
        // Never success when something is missing.
        Some(M::UploadResultTimeout) if own == 0 => {
            (Exit::Unknown as u8, "it ended with code 0, but not everything it left could be stored")
        }
        Some(M::UploadResultTimeout) => (own, "not everything it left could be stored"),
        Some(M::ExecTimeout) => (Exit::TimedOut as u8, "stopped at its timeout"),
        Some(M::FetchResourceTimeout) => (Exit::Unknown as u8, "not started: a resource took too long"),
        Some(M::ResourceNotFound) => (Exit::Unknown as u8, "not started: a resource does not exist"),
        Some(M::ResourceForbidden) => (Exit::Unknown as u8, "not started: a resource can't be read"),
        Some(M::WatchTimeout) => (Exit::Unknown as u8, "not started: the watched task did not get there"),
        Some(M::UserCancellation) => (Exit::Unknown as u8, "cancelled by a user"),
    };
    (code, Some(word))
}

/// The same, and which file was missing where that is the reason.
pub(crate) async fn told(user: &UserClient, task: Uuid, result: TaskResult) -> (u8, Option<String>) {
    let (code, word) = code(result);
    let Some(word) = word else { return (code, None) };
    let more = missing::in_words(user, task, result).await;
    (code, Some(escaped(&format!("{word}{more}"))))
}
