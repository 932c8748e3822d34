//! Prepares the start of a command.

use mitosis_domain::limits::PREPARATION_ALLOWANCE;
use mitosis_protocol::TaskResultMessage;
use tokio::time::timeout_at;

use super::output_files::OutputFiles;
use super::scratch::OutputMode;
use super::{Attempt, AttemptError};

/// Whether the command can start.
pub(super) enum Prepared {
    /// The command can start; these are its output files, if output is kept.
    Ready(Option<OutputFiles>),
    /// The command can't start, and this is its result.
    Impossible(TaskResultMessage),
}

impl Attempt<'_> {
    /// Prepares clean directories, then waits for the watched task, then downloads the resources, which the
    /// watched task may have to create first. Watching counts against the timeout of the task.
    pub(super) async fn prepare(&self) -> Result<Prepared, AttemptError> {
        let mode = if self.task.spec.terminal_output { OutputMode::Keep } else { OutputMode::Discard };
        let output = self.scratch.freshen(mode).await.map_err(|error| {
            tracing::error!(%error, "failed to prepare the scratch directory");
            AttemptError::NotStarted
        })?;
        let deadline = self.fetched_at + PREPARATION_ALLOWANCE;
        let watch_deadline = deadline.min(self.fetched_at + self.task.timeout);
        match timeout_at(watch_deadline, self.wait_for_watched_task()).await {
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
