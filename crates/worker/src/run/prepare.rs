//! Prepares the start of a command.

use std::io;
use std::path::PathBuf;

use mitosis_domain::limits::PREPARATION_ALLOWANCE;
use mitosis_protocol::{ResultWarning, TaskResultMessage};
use tokio::time::timeout_at;

use super::output_files::OutputFiles;
use super::scratch::OutputMode;
use super::{Attempt, AttemptError};

/// Whether the command can start.
pub(super) enum Prepared {
    /// The command can start.
    Ready(Place),
    /// The command can't start, and this is its result, with a detail that the message does not have.
    Impossible(TaskResultMessage, Option<ResultWarning>),
}

/// Where a command starts and writes.
pub(super) struct Place {
    /// The directory in which it starts; none for that of the worker.
    pub(super) directory: Option<PathBuf>,
    /// Its output files, if output is kept.
    pub(super) output: Option<OutputFiles>,
}

impl Attempt<'_> {
    /// Prepares clean directories, then waits for the watched task, then downloads the resources, which the
    /// watched task may have to create first. Last, it looks for the directory of the task, which the watched task may
    /// have to create, too. Watching counts against the timeout of the task.
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
            Err(_) => return Ok(Prepared::Impossible(TaskResultMessage::WatchTimeout, None)),
        }
        let fetched = match timeout_at(deadline, self.fetch_resources()).await {
            Ok(fetched) => fetched?,
            Err(_) => return Ok(Prepared::Impossible(TaskResultMessage::FetchResourceTimeout, None)),
        };
        if let Err((why, warning)) = fetched {
            return Ok(Prepared::Impossible(why, Some(warning)));
        }
        match self.write_files().await {
            Ok(()) => {}
            // Another worker would fail as well.
            Err(error) if is_about_a_path(error.kind()) => {
                tracing::warn!(%error, "the paths of the files of a task can't be written");
                return Ok(Prepared::Impossible(TaskResultMessage::ResourceForbidden, None));
            }
            Err(error) => {
                tracing::error!(%error, "failed to write the files of the task");
                return Err(AttemptError::NotStarted);
            }
        }
        Ok(match self.directory().await {
            Ok(directory) => Prepared::Ready(Place { directory, output }),
            Err(why) => Prepared::Impossible(TaskResultMessage::DirectoryUnavailable, Some(why)),
        })
    }
}

/// Whether an error is due to a path, and not to the state of this machine.
const fn is_about_a_path(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as K;
    matches!(
        kind,
        K::NotADirectory | K::IsADirectory | K::InvalidFilename | K::AlreadyExists | K::DirectoryNotEmpty
    )
}
