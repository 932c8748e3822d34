//! `mito submit --resume`: completes a submission that an earlier version or `mito run` has begun. Its tasks belong to no
//! job.

use std::process::ExitCode;

use mitosis_sweep::{Accepted, Submission};

use super::identity;
use crate::cli::submit::SubmitArgs;
use crate::config::{Environment, keys};
use crate::login::identity::Identity;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::signals::StopRequests;
use crate::show::rows::Rows;
use crate::show::{Output, Progress, Submitted, pluralized};

/// The largest number of tasks that are listed one by one at a terminal.
const MAX_LISTED: u64 = 20;

pub(super) async fn resume(
    id: &str,
    args: &SubmitArgs,
    environment: &Environment,
    out: &Output,
) -> Result<ExitCode, Failure> {
    let submission = Submission::interrupted(id, &environment.cache_folder())?;
    let identity = same_identity(&submission, args, environment).await?;
    send(submission, &identity, out).await
}

/// Logs in as the user of an interrupted submission, on its coordinator. Another user would submit tasks twice.
async fn same_identity(
    submission: &Submission,
    args: &SubmitArgs,
    environment: &Environment,
) -> Result<Identity, Failure> {
    let options = args
        .connection
        .options()
        .set(
            keys::COORDINATOR_ADDR,
            args.connection.coordinator.clone().or_else(|| Some(submission.address().clone())),
        )
        .set(keys::USER, args.connection.user.clone().or_else(|| Some(submission.user().clone())));
    let identity = identity(options, args, environment).await?;
    match identity.name == *submission.user() {
        true => Ok(identity),
        false => Err(Failure::new(
            Exit::Usage,
            format!(
                "the submission belongs to `{}`, and you are logged in as `{}`",
                submission.user(),
                identity.name
            ),
        )
        .with_hint("only its user can resume it; otherwise tasks would be submitted twice")),
    }
}

async fn send(submission: Submission, identity: &Identity, out: &Output) -> Result<ExitCode, Failure> {
    let mut requests = StopRequests::listen()?;
    let resume = submission.resume_command();
    let mut reporter = Reporter::new(&submission, out);
    let sent = submission.send(&identity.client, |accepted| reporter.accepted(&accepted));
    let sent = tokio::select! {
        sent = sent => Some(sent),
        _ = requests.next() => None,
    };
    // Submitted tasks are written, also after a failure.
    let replayed = reporter.replayed;
    let written = reporter.finish();
    match sent {
        Some(sent) => {
            match (sent?, replayed) {
                (1, 0) => {}
                (1, _) => out.say("already submitted"),
                (total, 0) => out.say(format_args!("submitted {total} tasks")),
                (total, all) if total == all => {
                    out.say(format_args!("submitted no tasks: all {total} were submitted before"));
                }
                (total, some) => {
                    let new = pluralized(total - some, "task");
                    out.say(format_args!("submitted {new}; {some} of the {total} were submitted before"));
                }
            }
            written.map(|()| ExitCode::SUCCESS)
        }
        None => Err(Failure::new(Exit::Interrupted, "interrupted; some tasks may be submitted")
            .with_hint(format!("resume with `{resume}`; no task is submitted twice"))),
    }
}

/// Reports the progress of a submission.
struct Reporter<'a> {
    out: &'a Output,
    resume: String,
    /// Whether the hint how to resume was printed.
    hinted: bool,
    /// Lists the tasks; none for many tasks at a terminal.
    rows: Option<Rows<'a, Submitted>>,
    written: Result<(), Failure>,
    progress: Progress,
    /// The number of tasks that the coordinator had already.
    replayed: u64,
}

impl<'a> Reporter<'a> {
    fn new(submission: &Submission, out: &'a Output) -> Self {
        let worth_showing = !out.is_watched() || submission.total() <= MAX_LISTED;
        let progress = out.count_progress(submission.total(), "tasks submitted");
        progress.set(submission.done());
        let rows = worth_showing.then(|| out.sentences());
        Self {
            out,
            resume: submission.resume_command(),
            hinted: false,
            rows,
            written: Ok(()),
            progress,
            replayed: 0,
        }
    }

    fn accepted(&mut self, accepted: &Accepted<'_>) {
        if accepted.replayed {
            self.replayed += accepted.tasks.len() as u64;
        }
        if accepted.so_far < accepted.total && !self.hinted {
            self.hinted = true;
            let word = format_args!("mito: if this is interrupted, resume with `{}`", self.resume);
            self.progress.suspend(|| self.out.say(word));
        }
        // A closed pipe is no reason to submit fewer tasks.
        if self.written.is_ok()
            && let Some(rows) = &mut self.rows
        {
            let mut tasks = accepted.tasks.iter();
            let written = || tasks.try_for_each(|(task, group)| rows.push(&Submitted::taken(group, *task)));
            self.written = self.progress.suspend(written).and_then(|()| rows.flush());
        }
        self.progress.set(accepted.so_far);
    }

    fn finish(self) -> Result<(), Failure> {
        self.progress.clear();
        let finished = self.rows.map_or(Ok(()), Rows::finish);
        self.written.and(finished)
    }
}
