//! Supervises one worker: starts it, waits until it exits, and restarts it.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::SUPERVISED;
use super::log;
use super::policy::{self, End, Next};
use super::protocol::{State, WorkerCommand, WorkerStatus};

/// A worker gives its command ten seconds to exit, and has to report to the coordinator after that.
const GRACE_PERIOD: Duration = Duration::from_secs(30);

/// The status of a worker.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) pid: Option<u32>,
    pub(super) state: State,
    pub(super) since: Instant,
    pub(super) restarts: u32,
    pub(super) last_end: Option<End>,
}

impl Snapshot {
    pub(super) fn new() -> Self {
        Self { pid: None, state: State::Waiting, since: Instant::now(), restarts: 0, last_end: None }
    }

    pub(super) fn status(&self, number: u32) -> WorkerStatus {
        WorkerStatus {
            number,
            pid: self.pid,
            state: self.state,
            since: self.since.elapsed().as_secs(),
            restarts: self.restarts,
            last_end: self.last_end.as_ref().map(End::to_string),
        }
    }
}

/// A worker that is restarted when it fails, until it is stopped or drained, or fails permanently.
pub(super) struct WorkerProcess {
    pub(super) number: u32,
    pub(super) command: WorkerCommand,
    pub(super) log: PathBuf,
    pub(super) permanent_failures: &'static [u8],
    pub(super) snapshot: watch::Sender<Snapshot>,
    pub(super) stop: CancellationToken,
    /// The worker finishes its tasks, takes no new ones, and exits.
    pub(super) drain: CancellationToken,
}

impl WorkerProcess {
    pub(super) async fn supervise(self) {
        let number = self.number;
        let mut failures = 0;
        loop {
            let started = Instant::now();
            let end = self.run_once().await;
            let next = match self.stop.is_cancelled() || self.drain.is_cancelled() {
                // Also if it failed while it was stopping: a restarted worker would take tasks again.
                true => Next::Finish(State::Ended),
                false => policy::next(&end, started.elapsed(), failures, self.permanent_failures),
            };
            tracing::info!(number, %end, ?next, "worker exited");
            let pause = match next {
                Next::Finish(state) => return self.update(state, None, Some(end)),
                Next::Restart { pause, failures: more } => {
                    failures = more;
                    pause
                }
            };
            self.update(State::Waiting, None, Some(end));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => return self.update(State::Ended, None, None),
                () = self.drain.cancelled() => return self.update(State::Ended, None, None),
            }
            self.snapshot.send_modify(|snapshot| snapshot.restarts = snapshot.restarts.saturating_add(1));
        }
    }

    /// Runs the worker once, until it exits.
    async fn run_once(&self) -> End {
        let mut child = match self.start() {
            Ok(child) => child,
            Err(error) => return End::NotStarted(error.to_string()),
        };
        // Open as long as the worker should run. The kernel closes it if this process is killed.
        let _lifeline = child.stdin.take();
        tracing::info!(number = self.number, pid = child.id(), "worker started");
        self.update(State::Running, child.id(), None);
        let ended = tokio::select! {
            ended = self.wait(&mut child) => ended,
            () = self.stop.cancelled() => {
                self.update(State::Stopping, child.id(), None);
                stop(self.number, &mut child).await
            }
        };
        ended.map_or_else(|error| End::NotStarted(error.to_string()), End::from)
    }

    /// Waits for the end of the process, without a limit; forwards a request to drain.
    async fn wait(&self, child: &mut Child) -> std::io::Result<ExitStatus> {
        tokio::select! {
            ended = child.wait() => return ended,
            () = self.drain.cancelled() => {}
        }
        signal(self.number, child, Signal::SIGUSR1);
        self.update(State::Draining, child.id(), None);
        child.wait().await
    }

    fn start(&self) -> std::io::Result<Child> {
        log::trim(&self.log)?;
        let log = log::open(&self.log)?;
        let command = &self.command;
        Command::new(&command.program)
            .arg("worker")
            .args(&command.args)
            .env_clear()
            .envs(command.environment.iter().map(|(name, value)| (name, value)))
            .env(SUPERVISED, "1")
            .current_dir(&command.working_dir)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C in a terminal does not reach the worker.
            .process_group(0)
            .spawn()
    }

    fn update(&self, state: State, pid: Option<u32>, end: Option<End>) {
        self.snapshot.send_modify(|snapshot| {
            snapshot.state = state;
            snapshot.pid = pid;
            snapshot.since = Instant::now();
            if end.is_some() {
                snapshot.last_end = end;
            }
        });
    }
}

/// Has no effect if the process has exited.
fn signal(number: u32, child: &Child, signal: Signal) {
    // The system doesn't reuse the id before the exit status is read.
    let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) else { return };
    if let Err(error) = kill(Pid::from_raw(id), signal) {
        tracing::debug!(number, %error, "worker has exited already");
    }
}

/// Sends SIGTERM, and SIGKILL after a grace period.
async fn stop(number: u32, child: &mut Child) -> std::io::Result<ExitStatus> {
    signal(number, child, Signal::SIGTERM);
    match tokio::time::timeout(GRACE_PERIOD, child.wait()).await {
        Ok(ended) => ended,
        Err(_) => {
            tracing::warn!(number, pid = child.id(), "worker did not exit after SIGTERM; killing it");
            child.kill().await?;
            Ok(ExitStatus::from_raw(Signal::SIGKILL as i32))
        }
    }
}
