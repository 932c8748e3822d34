//! One task, from its assignment to its result (semantics §7, §8; HTTP contract §12.3).

mod archive;
mod collect;
mod courier;
mod follow_up;
mod prepare;
mod process;
mod report;
mod resources;
pub(crate) mod scratch;
mod watch;

use mitosis_domain::task::ExecEnd;
use mitosis_protocol::worker::FetchedTask;
use mitosis_protocol::{TaskResult, TaskResultMessage};
use tokio::time::Instant;

use crate::session::Session;
use prepare::Prepared;
use process::Ran;

/// This worker's hold on a task.
pub(crate) struct Attempt<'a> {
    session: &'a Session,
    task: FetchedTask,
    /// Downloads and watching are measured from here.
    fetched_at: Instant,
}

/// Why an attempt brought no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The coordinator gave the task to somebody else, or ended it.
    TakenBack,
    /// The coordinator does not know this worker any more.
    Unknown,
    /// The lease is over, or this machine can't do it; another attempt is wanted.
    GivenUp,
}

/// Runs one task and commits its result.
#[tracing::instrument(name = "task", skip_all, fields(task = %task.uuid))]
pub(crate) async fn run(session: &Session, task: FetchedTask) -> Result<(), Lost> {
    let attempt = Attempt { session, task, fetched_at: Instant::now() };
    let outcome = attempt.run().await;
    match outcome {
        Ok(result) => tracing::info!(exit_status = result.exit_status, msg = ?result.msg, "committed"),
        Err(lost) => tracing::warn!(?lost, "the attempt brought no result"),
    }
    outcome.map(drop)
}

impl Attempt<'_> {
    async fn run(&self) -> Result<TaskResult, Lost> {
        match self.prepare().await? {
            Prepared::Impossible(why) => {
                self.end(ExecEnd::Cancelled).await?;
                self.commit(TaskResult { exit_status: 0, msg: Some(why) }).await
            }
            Prepared::Ready(output) => {
                let ran = self.execute(output).await?;
                self.end(ran.end).await?;
                let result = self.leave(ran).await?;
                self.commit(result).await
            }
        }
    }

    /// What follows the end of the command: archives, then a follow-up task.
    async fn leave(&self, ran: Ran) -> Result<TaskResult, Lost> {
        let incomplete = self.collect().await?.then_some(TaskResultMessage::UploadResultTimeout);
        let follow_up = self.follow_up().await?.then_some(TaskResultMessage::SubmitNewTaskFailed);
        Ok(TaskResult { exit_status: ran.exit_status, msg: ran.msg.or(incomplete).or(follow_up) })
    }
}
