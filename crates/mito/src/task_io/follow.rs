//! Follows a task to its end: its output appears on the same streams, each byte once.
//!
//! Live output is followed while the task runs; the rest is read from the archive at the end. After a broken
//! connection, the streams continue at their offsets.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use mitosis_client::UserClient;
use mitosis_log_archive::omission_mark;
use mitosis_protocol::explain::ReasonCode;
use mitosis_protocol::output::{EndedLog, EndedOutput, FollowQuery, FollowReply, OutputStream};
use mitosis_protocol::{ShellCode, TaskState, Uuid};

use crate::login::reconnect::{NOTICE_AFTER, Reconnect};
use crate::process::failure::Failure;
use crate::show::text::escaped_lines;
use crate::task_io::attempts::FollowedAttempts;
use crate::task_io::exit::TaskExit;
use crate::task_io::stored_log::{self, Start, cant_write, write};
use crate::task_io::terminal_output::TerminalOutput;

/// How long the coordinator may hold a request.
const LONG_POLL: Duration = Duration::from_secs(10);

/// How far both streams have been shown.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shown {
    pub(crate) stdout: u64,
    pub(crate) stderr: u64,
}

/// Which part of the output to show.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogPart {
    /// The last lines of each stream.
    pub(crate) tail: Option<u64>,
    /// What was written since a time.
    pub(crate) since: Option<String>,
}

impl LogPart {
    pub(crate) fn is_all(&self) -> bool {
        self.tail.is_none() && self.since.is_none()
    }
}

/// Shows the output of a task until it ends. Returns its exit.
pub(crate) async fn follow(
    user: &UserClient,
    task: Uuid,
    part: LogPart,
    scratch: &Path,
    streams: &mut TerminalOutput,
) -> Result<TaskExit, Failure> {
    let mut start = Start::new(part);
    let mut attempts = FollowedAttempts::default();
    let mut unshown = None;
    let mut reconnect = Reconnect::new().with_progress(streams.progress());
    let mut silence = SilenceNotice::new(streams);
    loop {
        let query = FollowQuery { attempt: attempts.current(), ..start.follow_query(silence.wait()) };
        match user.follow(task, &query).await {
            Ok(reply) => {
                reconnect.reset();
                if let Some(ended) = attempts.ended(&reply) {
                    if unshown.is_none() {
                        stored_log::show_attempt(user, task, ended, &start, streams).await?;
                        start = Start::At(Shown::default());
                    }
                    attempts.announce_end(user, task, ended, streams).await;
                    silence = SilenceNotice::new(streams);
                    continue;
                }
                attempts.see(&reply, streams);
                if let Err(failure) = start.show(&reply, streams) {
                    if failure.is_quiet() {
                        return Err(failure);
                    }
                    // The outcome of the task is still wanted, and nothing more of its output.
                    unshown = Some(failure);
                    start = Start::At(Shown { stdout: u64::MAX, stderr: u64::MAX });
                }
                let is_silent = reply.stdout.is_empty() && reply.stderr.is_empty();
                if let Some(outcome) = TaskExit::from_reply(reply) {
                    let shown = match unshown {
                        Some(failure) => Err(failure),
                        None => stored_log::show(user, task, &start, scratch, streams).await,
                    };
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

/// Shows the output of a task that has ended; returns how it ended.
pub(crate) async fn show_ended(
    user: &UserClient,
    output: EndedOutput,
    scratch: &Path,
    streams: &mut TerminalOutput,
) -> Result<TaskExit, Failure> {
    let EndedOutput { uuid, result, warnings, log } = output;
    let shown = match log {
        Some(EndedLog::Archive { bytes }) => stored_log::show_archive(&bytes, Shown::default(), streams),
        Some(EndedLog::Object) => {
            stored_log::show_object(user, uuid, &Start::new(LogPart::default()), scratch, streams).await
        }
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

impl Start {
    fn follow_query(&self, wait: Duration) -> FollowQuery {
        let wait = Some(wait);
        match self {
            Self::At(Shown { stdout, stderr }) => {
                FollowQuery { stdout: *stdout, stderr: *stderr, wait, ..FollowQuery::default() }
            }
            Self::Part(LogPart { tail, since }) => {
                FollowQuery { tail: *tail, since: since.clone(), wait, ..FollowQuery::default() }
            }
        }
    }

    /// Shows new output, and a line in place of output that is not kept.
    fn show(&mut self, reply: &FollowReply, streams: &mut TerminalOutput) -> Result<(), Failure> {
        let shown = match (&*self, reply.stdout_offset, reply.stderr_offset) {
            (Self::At(shown), ..) => *shown,
            (Self::Part(_), Some(stdout), Some(stderr)) => Shown { stdout, stderr },
            (Self::Part(_), ..) => return Ok(()),
        };
        let mut take = |of, offset: Option<u64>, shown: u64, bytes: &[u8]| {
            let offset = offset.unwrap_or(shown);
            if let Some(stream) = streams.shown(of) {
                if offset > shown && !bytes.is_empty() {
                    write(stream, omission_mark(offset - shown).as_bytes())?;
                }
                write(stream, bytes)?;
            }
            Ok::<_, Failure>(offset + bytes.len() as u64)
        };
        let stdout = take(OutputStream::Stdout, reply.stdout_offset, shown.stdout, &reply.stdout)?;
        let stderr = take(OutputStream::Stderr, reply.stderr_offset, shown.stderr, &reply.stderr)?;
        *self = Self::At(Shown { stdout, stderr });
        Ok(())
    }
}

pub(crate) fn check_later_hint(task: Uuid) -> String {
    format!("the task continues; check it later with `mito client tasks get {task}`")
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::{TaskResult, WaitStatus};

    use super::*;
    use crate::process::exit::Exit;

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
