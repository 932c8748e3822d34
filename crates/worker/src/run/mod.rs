//! One task, from its assignment to its result (semantics §7, §8; HTTP contract §12.3).

mod archive;
mod collect;
mod courier;
mod follow_up;
mod prepare;
mod process;
mod program;
mod report;
mod resources;
pub(crate) mod scratch;
mod watch;

use mitosis_domain::task::ExecEnd;
use mitosis_protocol::agent::Done;
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

/// Runs one task. Its result is committed here, or handed back to be sent with the question for the next
/// task.
#[tracing::instrument(name = "task", skip_all, fields(task = %task.uuid))]
pub(crate) async fn run(session: &Session, task: FetchedTask) -> Result<Option<Done>, Lost> {
    let attempt = Attempt { session, task, fetched_at: Instant::now() };
    let outcome = attempt.run().await;
    match &outcome {
        Ok(ended) => {
            let TaskResult { exit_status, msg } = ended.result;
            tracing::info!(exit_status, ?msg, "ended");
        }
        Err(lost) => tracing::warn!(?lost, "the attempt brought no result"),
    }
    let Ended { result, end, committed } = outcome?;
    let cancelled = end == ExecEnd::Cancelled;
    Ok((!committed).then_some(Done { id: attempt.task.id, cancelled, result }))
}

/// A task that is over.
struct Ended {
    end: ExecEnd,
    result: TaskResult,
    /// Whether the coordinator knows.
    committed: bool,
}

impl Attempt<'_> {
    async fn run(&self) -> Result<Ended, Lost> {
        match self.prepare().await? {
            Prepared::Impossible(why) => {
                let result = TaskResult { exit_status: 0, msg: Some(why) };
                self.conclude(ExecEnd::Cancelled, result).await
            }
            Prepared::Ready(output) => {
                let ran = self.execute(output).await?;
                if self.left_nothing().await {
                    let result = TaskResult { exit_status: ran.exit_status, msg: ran.msg };
                    return self.conclude(ran.end, result).await;
                }
                self.end(ran.end).await?;
                let end = ran.end;
                let result = self.leave(ran).await?;
                self.commit(result).await?;
                Ok(Ended { end, result, committed: true })
            }
        }
    }

    /// Ends a task that left nothing to be stored. A coordinator of ours hears of it together with the
    /// question for the next task.
    async fn conclude(&self, end: ExecEnd, result: TaskResult) -> Result<Ended, Lost> {
        let committed = !self.session.is_with_ours;
        if committed {
            self.end(end).await?;
            self.commit(result).await?;
        }
        Ok(Ended { end, result, committed })
    }

    /// Whether there is neither an archive to be made nor a follow-up to be read.
    async fn left_nothing(&self) -> bool {
        !self.task.spec.terminal_output && self.session.scratch.is_untouched().await
    }

    /// What follows the end of the command: archives, then a follow-up task.
    async fn leave(&self, ran: Ran) -> Result<TaskResult, Lost> {
        let incomplete = self.collect().await?.then_some(TaskResultMessage::UploadResultTimeout);
        let follow_up = self.follow_up().await?.then_some(TaskResultMessage::SubmitNewTaskFailed);
        Ok(TaskResult { exit_status: ran.exit_status, msg: ran.msg.or(incomplete).or(follow_up) })
    }
}
