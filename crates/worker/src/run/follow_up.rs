//! The task that a task may ask for (semantics §4.3).

use std::io;

use mitosis_protocol::report::ReportOp;
use mitosis_protocol::task::SubmitTaskRequest;
use tokio::io::AsyncReadExt as _;

use super::{Attempt, Lost};

/// Most bytes of a request, as for `POST /tasks`.
const LIMIT: u64 = 2 * 1024 * 1024;

impl Attempt<'_> {
    /// Submits the follow-up, if there is one; answers whether that failed.
    pub(super) async fn follow_up(&self) -> Result<bool, Lost> {
        let request = match self.read_follow_up().await {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(false),
            Err(error) => {
                tracing::warn!(%error, "the follow-up task can't be read");
                return Ok(true);
            }
        };
        match self.report(ReportOp::Submit(Box::new(request))).await {
            Ok(_) => Ok(false),
            Err(error) if error.status() == Some(401) => Err(Lost::Unknown),
            Err(error) => {
                tracing::warn!(%error, "the follow-up task was refused");
                Ok(true)
            }
        }
    }

    /// Whether the task left a request, good or bad.
    pub(super) async fn asks_for_a_follow_up(&self) -> bool {
        !matches!(self.read_follow_up().await, Ok(None))
    }

    async fn read_follow_up(&self) -> io::Result<Option<SubmitTaskRequest>> {
        let file = match tokio::fs::File::open(self.scratch.new_task()).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut text = String::new();
        if file.take(LIMIT + 1).read_to_string(&mut text).await? as u64 > LIMIT {
            return Err(io::Error::other("it is larger than 2 MiB"));
        }
        if text.trim().is_empty() {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&text)?))
    }
}
