//! Runs a sweep, and follows its tasks to their end.

use std::convert::Infallible;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use mitosis_blueprint::Blueprint;
use mitosis_client::UserClient;
use mitosis_protocol::Uuid;
use mitosis_protocol::task::CancelTasksListRequest;
use mitosis_sweep::Submission;

use super::ended_outputs::EndedOutputs;
use super::remove_folder;
use crate::cli::notify::NotifyCommandArgs;
use crate::commands::notify_command::{self, EndSummary};
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::login::reconnect::Reconnect;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::{Output, Progress, pluralized};
use crate::task_io::follow::{self, LogPart};
use crate::task_io::progress::TaskProgress;
use crate::task_io::states::StatePoll;
use crate::task_io::terminal_output::TerminalOutput;

/// Tasks in one request.
const BATCH_SIZE: usize = 10_000;

/// The shortest time between two updates of the progress bar.
const BAR_INTERVAL: Duration = Duration::from_millis(250);

/// The most tasks that are listed when they continue.
const MAX_NAMED: usize = 20;

/// Submits the tasks and shows their output in the order of the tasks; they run in any order. `tasks` has the tasks
/// that have been submitted and not ended.
pub(super) async fn run(
    identity: &Identity,
    blueprint: Blueprint,
    (notify_command, out): (&NotifyCommandArgs, &Output),
    environment: &Environment,
    tasks: &mut Vec<Uuid>,
    scratch: &Path,
) -> Result<ExitCode, Failure> {
    mitosis_sweep::check(&blueprint.expand()?)?;
    let submission =
        Submission::new(None, vec![blueprint], identity.submitter(), &environment.cache_folder())?;
    let progress = out.count_progress(submission.total(), "tasks submitted");
    let sent = submission.send(&identity.client, |accepted| {
        tasks.extend(accepted.tasks.iter().map(|(task, _)| task.uuid));
        progress.set(accepted.so_far);
    });
    let sent = sent.await;
    progress.clear();
    let total = sent?;
    let progress = out.count_progress(total, "tasks ended");
    tasks.reverse();
    // Only a bar that is shown needs the states.
    let counted = progress.is_shown().then(|| StatePoll::new(tasks.clone(), BAR_INTERVAL));
    let streams = TerminalOutput::with_progress(&progress).quiet(out.is_quiet());
    let failed = tokio::select! {
        failed = show_each(&identity.client, tasks, scratch, streams, &progress) => failed,
        never = count(&identity.client, counted, &progress) => match never {},
    };
    progress.clear();
    let failed = failed?;
    let summary = EndSummary { tasks: total, succeeded: total - failed, failed, ..EndSummary::default() };
    notify_command::run(notify_command, &summary).await;
    match failed {
        0 => Ok(ExitCode::SUCCESS),
        failed => Err(Failure::new(Exit::Partial, format!("{failed} of {total} tasks did not succeed"))),
    }
}

/// Shows the output of each task, the last task of the list first. Returns the number of failures.
async fn show_each(
    user: &UserClient,
    tasks: &mut Vec<Uuid>,
    folder: &Path,
    mut streams: TerminalOutput,
    progress: &Progress,
) -> Result<u64, Failure> {
    let (mut ended, mut failed) = (EndedOutputs::default(), 0);
    while let Some(task) = tasks.last().copied() {
        let scratch = folder.join(format!("mito-run-{task}"));
        let outcome = match ended.next(user, tasks).await? {
            Some(output) => follow::show_ended(user, output, &scratch, &mut streams).await,
            None => follow::follow(user, task, LogPart::default(), &scratch, &mut streams).await,
        };
        progress.suspend(|| remove_folder(&scratch));
        let (code, word) = outcome?.describe(user, task).await;
        if !code.is_success() {
            failed += 1;
            let word = word.map(|word| format!(": {word}")).unwrap_or_default();
            progress.suspend(|| note!("mito: {task} did not succeed{word}"));
        } else if let Some(word) = word {
            progress.suspend(|| note!("mito: {task}: {word}"));
        }
        tasks.pop();
    }
    Ok(failed)
}

/// Updates the progress bar while the tasks run. When the states can't be read, the bar keeps its state.
async fn count(user: &UserClient, poll: Option<StatePoll>, progress: &Progress) -> Infallible {
    let mut reconnect = Reconnect::brief();
    let mut task_progress = TaskProgress::default();
    let Some(mut poll) = poll else { return std::future::pending().await };
    while !poll.is_done() {
        match poll.next(user).await {
            Ok(batch) => {
                reconnect.reset();
                task_progress.apply(&batch);
                task_progress.show(progress);
            }
            Err(error) if error.is_transient() => reconnect.pause().await,
            Err(_) => break,
        }
    }
    std::future::pending().await
}

/// Cancels waiting tasks, and lists the running ones with the command that stops them.
pub(super) async fn interrupted(
    user: &UserClient,
    tasks: &[Uuid],
    command: &str,
    exit: Exit,
) -> Result<ExitCode, Failure> {
    let (mut cancelled, mut rest) = (0, Vec::new());
    for some in tasks.chunks(BATCH_SIZE) {
        match user.cancel_listed(&CancelTasksListRequest { uuids: some.to_vec() }).await {
            Ok(done) => {
                cancelled += done.cancelled_count;
                rest.extend(done.failed_uuids);
            }
            Err(error) => {
                note!("mito: {} may continue: {error}", pluralized(some.len() as u64, "task"));
            }
        }
    }
    note!("mito: cancelled {} that were waiting", pluralized(cancelled, "task"));
    if !rest.is_empty() {
        let named: Vec<String> = rest.iter().take(MAX_NAMED).map(|task| format!("\n  {task}")).collect();
        let more = match rest.len().saturating_sub(MAX_NAMED) {
            0 => String::new(),
            more => format!("\n  and {more} more: `{command} tasks query state=running -o id` lists them"),
        };
        note!(
            "mito: {} may continue; `{command} tasks stop UUID` stops one:{}{more}",
            pluralized(rest.len() as u64, "task"),
            named.concat()
        );
    }
    Ok(exit.into())
}
