//! Keeping one worker: starting it, waiting for its end, starting it again.

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
use super::wire::{Order, State, WorkerStatus};

/// A worker gives its command ten seconds to end, and must say good-bye besides.
const GRACE: Duration = Duration::from_secs(30);

/// What is known of a worker.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) pid: Option<u32>,
    pub(super) state: State,
    pub(super) since: Instant,
    pub(super) restarts: u32,
    pub(super) last_end: Option<End>,
}

impl Seen {
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

/// Keeps a worker until it is over, or is to stop.
pub(super) struct Keeper {
    pub(super) number: u32,
    pub(super) order: Order,
    pub(super) log: PathBuf,
    pub(super) seen: watch::Sender<Seen>,
    pub(super) stop: CancellationToken,
    /// It is to end what it runs, and leave.
    pub(super) drain: CancellationToken,
}

impl Keeper {
    pub(super) async fn keep(self) {
        let number = self.number;
        let mut failures = 0;
        loop {
            let started = Instant::now();
            let end = self.one_life().await;
            let next = match self.is_to_leave() {
                // Also if it failed on its way out: another start would take tasks again.
                true => Next::Over(State::Ended),
                false => policy::next(&end, started.elapsed(), failures),
            };
            tracing::info!(number, %end, ?next, "a worker ended");
            let pause = match next {
                Next::Over(state) => return self.show(state, None, Some(end)),
                Next::Again { pause, failures: more } => {
                    failures = more;
                    pause
                }
            };
            self.show(State::Waiting, None, Some(end));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => return self.show(State::Ended, None, None),
                () = self.drain.cancelled() => return self.show(State::Ended, None, None),
            }
            self.seen.send_modify(|seen| seen.restarts = seen.restarts.saturating_add(1));
        }
    }

    fn is_to_leave(&self) -> bool {
        self.stop.is_cancelled() || self.drain.is_cancelled()
    }

    /// From its start to its end, which can be asked for.
    async fn one_life(&self) -> End {
        let mut child = match self.start() {
            Ok(child) => child,
            Err(error) => return End::NotStarted(error.to_string()),
        };
        // Open for as long as the worker shall run, and closed by the kernel if this process is killed.
        let _lifeline = child.stdin.take();
        tracing::info!(number = self.number, pid = child.id(), "a worker runs");
        self.show(State::Running, child.id(), None);
        let ended = tokio::select! {
            ended = self.until_it_ends(&mut child) => ended,
            () = self.stop.cancelled() => {
                self.show(State::Stopping, child.id(), None);
                stop(&mut child).await
            }
        };
        ended.map_or_else(|error| End::NotStarted(error.to_string()), End::from)
    }

    /// However long it has something to run.
    async fn until_it_ends(&self, child: &mut Child) -> std::io::Result<ExitStatus> {
        tokio::select! {
            ended = child.wait() => return ended,
            () = self.drain.cancelled() => {}
        }
        signal(child, Signal::SIGUSR1);
        self.show(State::Draining, child.id(), None);
        child.wait().await
    }

    fn start(&self) -> std::io::Result<Child> {
        log::trim(&self.log)?;
        let log = log::open(&self.log)?;
        let order = &self.order;
        Command::new(&order.program)
            .arg("worker")
            .args(&order.words)
            .env_clear()
            .envs(order.environment.iter().map(|(name, value)| (name, value)))
            .env(SUPERVISED, "1")
            .current_dir(&order.folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Out of reach of the keys of a terminal.
            .process_group(0)
            .spawn()
    }

    fn show(&self, state: State, pid: Option<u32>, end: Option<End>) {
        self.seen.send_modify(|seen| {
            seen.state = state;
            seen.pid = pid;
            seen.since = Instant::now();
            if end.is_some() {
                seen.last_end = end;
            }
        });
    }
}

/// Nothing happens if it has ended.
fn signal(child: &Child, signal: Signal) {
    // The id is there for as long as nobody was told of the end, so it can't be another process's.
    let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) else { return };
    if let Err(error) = kill(Pid::from_raw(id), signal) {
        tracing::debug!(%error, "it has ended already");
    }
}

/// Asks, waits, insists.
async fn stop(child: &mut Child) -> std::io::Result<ExitStatus> {
    signal(child, Signal::SIGTERM);
    match tokio::time::timeout(GRACE, child.wait()).await {
        Ok(ended) => ended,
        Err(_) => {
            tracing::warn!(pid = child.id(), "a worker did not end when asked to; killing it");
            child.kill().await?;
            Ok(ExitStatus::from_raw(Signal::SIGKILL as i32))
        }
    }
}
