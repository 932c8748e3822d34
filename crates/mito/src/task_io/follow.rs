//! Follows a task to its end: its output appears on the same streams, each byte once.
//!
//! Live output is followed while the task runs; the rest is read from the archive at the end. After a broken
//! connection, the streams continue at their offsets.

use std::fs::File;
use std::io::{self, Seek as _, Write};
use std::path::Path;
use std::time::Duration;

use mitosis_client::UserClient;
use mitosis_protocol::explain::ReasonCode;
use mitosis_protocol::output::{
    EndedLog, EndedOutput, FollowQuery, FollowReply, OutputsReply, OutputsRequest,
};
use mitosis_protocol::{ArtifactKind, ShellCode, TaskState, Uuid};

use crate::login::reconnect::{NOTICE_AFTER, Reconnect};
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::text::escaped_lines;
use crate::task_io::exit::TaskExit;
use crate::task_io::std_log;
use crate::task_io::terminal_output::TerminalOutput;

/// How long the coordinator may hold a request.
const LONG_POLL: Duration = Duration::from_secs(10);

/// How long a running task may take to send what it has written.
const SO_FAR: Duration = Duration::from_secs(1);

/// How far both streams have been shown.
#[derive(Debug, Default)]
struct Shown {
    stdout: u64,
    stderr: u64,
}

/// Shows the output of a task until it ends. Returns its exit.
pub(crate) async fn follow(
    user: &UserClient,
    task: Uuid,
    scratch: &Path,
    streams: &mut TerminalOutput,
) -> Result<TaskExit, Failure> {
    let mut shown = Shown::default();
    let mut reconnect = Reconnect::new().with_progress(streams.progress());
    let mut silence = SilenceNotice::new(streams);
    loop {
        let query = FollowQuery { stdout: shown.stdout, stderr: shown.stderr, wait: Some(silence.wait()) };
        match user.follow(task, &query).await {
            Ok(reply) => {
                reconnect.reset();
                shown.show(&reply, streams)?;
                let is_silent = reply.stdout.is_empty() && reply.stderr.is_empty();
                if let Some(outcome) = TaskExit::from_reply(reply) {
                    let shown = show_rest(user, task, &shown, scratch, streams).await;
                    return ended(shown, outcome, streams);
                }
                match is_silent {
                    true => silence.explain(user, task, streams).await,
                    false => silence.saw_output(),
                }
            }
            Err(error) if error.is_transient() => {
                reconnect.pause_after_error(error, || check_later_hint(task)).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Shows what a running task has written so far. If it ends meanwhile, shows all of its output.
pub(crate) async fn show_so_far(user: &UserClient, task: Uuid, scratch: &Path) -> Result<(), Failure> {
    let (mut shown, mut streams) = (Shown::default(), TerminalOutput::plain());
    loop {
        let query = FollowQuery { stdout: shown.stdout, stderr: shown.stderr, wait: Some(SO_FAR) };
        let reply = user.follow(task, &query).await?;
        shown.show(&reply, &mut streams)?;
        if reply.result.is_some() {
            return show_rest(user, task, &shown, scratch, &mut streams).await.map(drop);
        }
        if reply.stdout.is_empty() && reply.stderr.is_empty() {
            return Ok(());
        }
    }
}

/// Shows the output of a task that has ended; returns how it ended.
pub(crate) async fn show_ended(
    user: &UserClient,
    output: EndedOutput,
    scratch: &Path,
    streams: &mut TerminalOutput,
) -> Result<TaskExit, Failure> {
    let EndedOutput { uuid, result, warnings, log } = output;
    let shown = match log {
        Some(EndedLog::Archive { bytes }) => Shown::default().show_rest_of(&bytes, streams),
        Some(EndedLog::Object) => show_rest_of_object(user, uuid, &Shown::default(), scratch, streams).await,
        None => Ok(false),
    };
    ended(shown, TaskExit { result, warnings }, streams)
}

/// How a task ended, after what it wrote was shown or could not be.
fn ended(
    shown: Result<bool, Failure>,
    outcome: TaskExit,
    streams: &mut TerminalOutput,
) -> Result<TaskExit, Failure> {
    match shown.and_then(|_| streams.end().map_err(cant_write)) {
        Ok(()) => Ok(outcome),
        Err(failure) => with_output_failure(failure, outcome),
    }
}

/// The exit of a task with incomplete output: its own code, but never a success.
fn with_output_failure(failure: Failure, outcome: TaskExit) -> Result<TaskExit, Failure> {
    match outcome.code() {
        ShellCode::SUCCESS => {
            Err(failure.about("the command exited with code 0, but not all of its output can be shown"))
        }
        _ if failure.is_quiet() => Err(failure),
        _ => {
            note!("{failure}");
            Ok(outcome)
        }
    }
}

/// Shows the stored output of an ended task. Returns whether there was any.
pub(crate) async fn show_stored(user: &UserClient, task: Uuid, scratch: &Path) -> Result<bool, Failure> {
    show_rest(user, task, &Shown::default(), scratch, &mut TerminalOutput::plain()).await
}

/// Explains why a task has no output: no worker runs it, or its worker is missed.
#[derive(Debug, Default)]
struct SilenceNotice {
    stage: Stage,
    /// A message about an unhealthy coordinator has been printed.
    reported_unhealthy: bool,
    /// The last printed reason.
    reported: Option<ReasonCode>,
    /// The number of replies without output since the last output.
    silent_replies: u32,
}

/// What is known of a task without output.
#[derive(Debug, Default, PartialEq, Eq)]
enum Stage {
    /// It may be waiting, so the reason is worth a message.
    #[default]
    Unknown,
    /// It runs.
    Running,
    /// Messages are unwanted, or the coordinator can't explain the task.
    Mute,
}

/// After this many replies without output from a running task, its state is checked.
const EXPLAIN_EVERY: u32 = 2;

impl SilenceNotice {
    fn new(streams: &TerminalOutput) -> Self {
        let stage = if streams.is_quiet() { Stage::Mute } else { Stage::Unknown };
        Self { stage, ..Self::default() }
    }

    /// How long to wait for output before the task is explained.
    fn wait(&self) -> Duration {
        match self.stage {
            Stage::Unknown if self.reported.is_none() => NOTICE_AFTER,
            Stage::Unknown | Stage::Running | Stage::Mute => LONG_POLL,
        }
    }

    fn saw_output(&mut self) {
        if self.stage != Stage::Mute {
            *self = Self { stage: Stage::Running, ..Self::default() };
        }
    }

    /// Prints why there is no output, once for each reason. A coordinator that cannot explain it is not asked again.
    async fn explain(&mut self, user: &UserClient, task: Uuid, streams: &mut TerminalOutput) {
        self.silent_replies += 1;
        let is_due = match self.stage {
            Stage::Unknown => true,
            Stage::Running => self.silent_replies.is_multiple_of(EXPLAIN_EVERY),
            Stage::Mute => false,
        };
        if !is_due {
            return;
        }
        let why = match user.explain_task(task).await {
            Ok(why) => why,
            Err(error) => {
                if !error.is_transient() {
                    self.stage = Stage::Mute;
                }
                return;
            }
        };
        let about = match (why.state, why.code) {
            (TaskState::Pending | TaskState::Ready, _) => "the task is waiting: ",
            (_, ReasonCode::WorkerLost) => "",
            _ => {
                self.stage = Stage::Running;
                self.check_coordinator(user, streams).await;
                return;
            }
        };
        if self.reported == Some(why.code) {
            return;
        }
        // The coordinator itself may be unhealthy.
        let unhealthy =
            unhealthy(user).await.map(|unhealthy| format!("\n  because: {unhealthy}")).unwrap_or_default();
        let hint = why.hint.map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
        let words = escaped_lines(&format!("mito: {about}{}{unhealthy}{hint}\n", why.text));
        // An error while writing a notice is ignored.
        let _ = streams.stderr.write_all(words.as_bytes());
        self.reported = Some(why.code);
    }
}

impl SilenceNotice {
    /// Explains a silent running task: its end may be delayed because its output can't be stored.
    async fn check_coordinator(&mut self, user: &UserClient, streams: &mut TerminalOutput) {
        match unhealthy(user).await {
            Some(unhealthy) if !self.reported_unhealthy => {
                let words = escaped_lines(&format!("mito: no news of the task: {unhealthy}\n"));
                drop(streams.stderr.write_all(words.as_bytes()));
                self.reported_unhealthy = true;
            }
            Some(_) => {}
            None => self.reported_unhealthy = false,
        }
    }
}

/// The health report of an unhealthy coordinator.
async fn unhealthy(user: &UserClient) -> Option<String> {
    let health = user.client().check_address().await.ok()?.health?;
    let failing: Vec<String> = (health.status != "ok")
        .then_some(health.parts)?
        .into_iter()
        .filter(|(_, state)| state != "ok")
        .map(|(part, state)| format!("{part}: {state}"))
        .collect();
    Some(format!("the coordinator is unhealthy ({})", failing.join(", ")))
}

impl Shown {
    fn show(&mut self, reply: &FollowReply, streams: &mut TerminalOutput) -> Result<(), Failure> {
        write(&mut streams.stdout, &reply.stdout)?;
        write(&mut streams.stderr, &reply.stderr)?;
        self.stdout += reply.stdout.len() as u64;
        self.stderr += reply.stderr.len() as u64;
        Ok(())
    }

    /// Shows the rest of the output from a small archive. Returns that there is one.
    fn show_rest_of(&self, archive: &[u8], streams: &mut TerminalOutput) -> Result<bool, Failure> {
        std_log::copy(archive, self.stdout, self.stderr, &mut streams.stdout, &mut streams.stderr)
            .map(|()| true)
            .map_err(cant_write)
    }
}

fn write(stream: &mut impl Write, bytes: &[u8]) -> Result<(), Failure> {
    match bytes {
        [] => Ok(()),
        bytes => stream.write_all(bytes).map_err(cant_write),
    }
}

fn cant_write(error: io::Error) -> Failure {
    Failure::io("cannot write the task's output", error)
}

/// The log of an ended task, if the coordinator can return it at once.
async fn ended_log(user: &UserClient, task: Uuid) -> Result<Option<EndedLog>, Failure> {
    let request = OutputsRequest { tasks: vec![task], wait: None };
    // A coordinator without this route has only the artifact.
    let ask = async || match user.outputs(&request).await {
        Err(error) if !error.is_transient() => Ok(OutputsReply::default()),
        reply => reply,
    };
    let reply = Reconnect::brief().retry(ask, &check_later_hint(task)).await?;
    Ok(reply.outputs.into_iter().next().and_then(|output| output.log))
}

/// Shows the rest of the output of an ended task. Returns whether there is any stored output.
async fn show_rest(
    user: &UserClient,
    task: Uuid,
    shown: &Shown,
    scratch: &Path,
    streams: &mut TerminalOutput,
) -> Result<bool, Failure> {
    match ended_log(user, task).await? {
        Some(EndedLog::Archive { bytes }) => shown.show_rest_of(&bytes, streams),
        Some(EndedLog::Object) | None => show_rest_of_object(user, task, shown, scratch, streams).await,
    }
}

/// Shows the rest of the output from the archive in the object store. Returns whether there is one.
async fn show_rest_of_object(
    user: &UserClient,
    task: Uuid,
    shown: &Shown,
    scratch: &Path,
    streams: &mut TerminalOutput,
) -> Result<bool, Failure> {
    match fetch_archive(user, task, scratch).await? {
        Some(archive) => show_archive(archive, shown, streams).await.map(|()| true),
        None => Ok(false),
    }
}

/// Shows the part of an archive after the offsets.
async fn show_archive(archive: File, shown: &Shown, streams: &mut TerminalOutput) -> Result<(), Failure> {
    let (stdout, stderr) = (shown.stdout, shown.stderr);
    let mut moved = std::mem::replace(streams, TerminalOutput::plain());
    let (shown, returned) = tokio::task::spawn_blocking(move || {
        let outcome = (&archive)
            .rewind()
            .and_then(|()| std_log::copy(&archive, stdout, stderr, &mut moved.stdout, &mut moved.stderr));
        (outcome, moved)
    })
    .await
    .map_err(|error| Failure::new(Exit::Fault, error))?;
    *streams = returned;
    shown.map_err(|error| Failure::io("cannot show the task's output", error))
}

/// Downloads the archive into an unnamed file, if there is one. The link may lead to a coordinator, so failures are
/// retried.
async fn fetch_archive(user: &UserClient, task: Uuid, scratch: &Path) -> Result<Option<File>, Failure> {
    std::fs::create_dir_all(scratch)
        .map_err(|error| Failure::io(format!("cannot create the directory {}", scratch.display()), error))?;
    let cant_make = |error| Failure::io(format!("cannot make a file in {}", scratch.display()), error);
    let name = scratch.join(format!("the output of {task}"));
    let mut reconnect = Reconnect::brief();
    loop {
        let ask = async || match user.artifact_link(task, ArtifactKind::StdLog).await {
            Err(error) if error.status() == Some(404) => Ok(None),
            link => link.map(Some),
        };
        let Some(link) = reconnect.retry(ask, &check_later_hint(task)).await? else { return Ok(None) };
        let archive = tempfile::tempfile_in(scratch).map_err(cant_make)?;
        let target = archive.try_clone().map_err(cant_make)?;
        match user.download(&link.url, target, &name).await {
            Ok(_) => return Ok(Some(archive)),
            Err(error) if error.is_transient() => reconnect.pause_after(Failure::from(error)).await?,
            Err(error) => return Err(error.into()),
        }
    }
}

pub(crate) fn check_later_hint(task: Uuid) -> String {
    format!("the task continues; check it later with `mito client tasks get {task}`")
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::{TaskResult, WaitStatus};

    use super::*;

    #[test]
    fn output_that_cannot_be_shown_is_a_failure() {
        let cannot = |exit| Failure::new(exit, "the disk is full");
        let ended = |exit_status, failure| {
            let result = TaskResult { exit_status: WaitStatus(exit_status), msg: None };
            let ended = with_output_failure(failure, TaskExit { result, warnings: Vec::new() });
            ended.map(|outcome| outcome.code().0).map_err(|failure| failure.exit())
        };
        assert_eq!(ended(0, cannot(Exit::Failure)), Err(Exit::Failure));
        assert_eq!(ended(0, cannot(Exit::BrokenPipe)), Err(Exit::BrokenPipe));
        assert_eq!(ended(7 << 8, cannot(Exit::Failure)), Ok(7), "what failed by itself says how");
        assert_eq!(ended(7 << 8, cannot(Exit::BrokenPipe)), Err(Exit::BrokenPipe));
    }
}
