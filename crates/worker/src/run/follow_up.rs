//! Submits the follow-up task that a task requests (semantics §4.3).

use std::io::{self, Read as _};
use std::path::Path;

use mitosis_protocol::report::ReportOp;
use mitosis_protocol::task::SubmitTaskRequest;
use mitosis_protocol::{ResultWarning, WarningCode};

use super::scratch::on_a_blocking_thread;
use super::{Attempt, AttemptError, safe_open};

/// Largest request in bytes, as for `POST /tasks`.
const LIMIT: u64 = 2 * 1024 * 1024;

/// The request of a task: none, a follow-up task, or an unreadable file.
pub(super) type Request = io::Result<Option<SubmitTaskRequest>>;

impl Attempt<'_> {
    /// Submits the follow-up task, if there is one. Returns a warning if that failed.
    pub(super) async fn follow_up(&self, request: Request) -> Result<Option<ResultWarning>, AttemptError> {
        let refused = match request {
            Ok(None) => return Ok(None),
            Ok(Some(request)) => match self.report(ReportOp::Submit(Box::new(request))).await {
                Ok(_) => return Ok(None),
                Err(error) if error.status() == Some(401) => return Err(AttemptError::WorkerUnknown),
                Err(error) => error.to_string(),
            },
            Err(error) => format!("it can't be read: {error}"),
        };
        tracing::warn!(error = refused, "the follow-up task was not submitted");
        let text = format!("the follow-up task was not submitted: {refused}");
        Ok(Some(ResultWarning::new(WarningCode::FollowUpRefused, None, text)))
    }

    pub(super) async fn read_follow_up(&self) -> Request {
        let path = self.scratch.new_task();
        on_a_blocking_thread(move || read(&path)).await
    }
}

fn read(path: &Path) -> Request {
    let Some(file) = safe_open::open(path)? else { return Ok(None) };
    let mut text = String::new();
    if file.take(LIMIT + 1).read_to_string(&mut text)? as u64 > LIMIT {
        return Err(io::Error::other("it is larger than 2 MiB"));
    }
    if text.trim().is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&text)?))
}
