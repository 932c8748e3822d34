//! What has to be there before the command can start.

use mitosis_domain::limits::PREPARATION_ALLOWANCE;
use mitosis_protocol::TaskResultMessage;
use tokio::time::timeout_at;

use super::scratch::OutputFiles;
use super::{Attempt, Lost};

/// Whether the command can start.
pub(super) enum Prepared {
    /// It can, and this is where it writes, if that is kept.
    Ready(Option<OutputFiles>),
    /// It can't, and this is what its result says.
    Impossible(TaskResultMessage),
}

impl Attempt<'_> {
    /// Clean directories, then the task that is watched, then the files that the task asks for: the watched one may
    /// have to make them first. Watching counts against the task's timeout.
    pub(super) async fn prepare(&self) -> Result<Prepared, Lost> {
        let output = self.scratch.freshen(self.task.spec.terminal_output).await.map_err(|error| {
            tracing::error!(%error, "the scratch directory can't be made ready");
            Lost::NotStarted
        })?;
        let deadline = self.fetched_at + PREPARATION_ALLOWANCE;
        let patience = deadline.min(self.fetched_at + self.task.timeout);
        match timeout_at(patience, self.watched_task_is_there()).await {
            Ok(there) => there?,
            Err(_) => return Ok(Prepared::Impossible(TaskResultMessage::WatchTimeout)),
        }
        let fetched = match timeout_at(deadline, self.fetch_resources()).await {
            Ok(fetched) => fetched?,
            Err(_) => Err(TaskResultMessage::FetchResourceTimeout),
        };
        Ok(match fetched {
            Ok(()) => Prepared::Ready(output),
            Err(why) => Prepared::Impossible(why),
        })
    }
}
