//! Processes that are killed, stopped and restarted.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::home::{Home, LIMIT, POLL_INTERVAL, Service};

/// The preloaded library of Debian's package `libfaketime`, which is in a folder of the architecture.
fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let mut libraries = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    libraries.find(|library| library.exists()).expect("libfaketime is installed (Debian: faketime)")
}

/// A process of `mito`, and how to start it again.
pub(super) struct Node {
    home: PathBuf,
    args: Vec<String>,
    /// The mark of the line that reports readiness.
    mark: &'static str,
    /// The file with the offset of its wall clock, if it has its own clock.
    clock: Option<PathBuf>,
    process: Option<Service>,
}

impl Node {
    pub(super) async fn start(
        home: &Home,
        args: &[&str],
        mark: &'static str,
        clock: Option<PathBuf>,
    ) -> Self {
        let args = args.iter().map(ToString::to_string).collect();
        let mut node = Self { home: home.path().to_owned(), args, mark, clock, process: None };
        node.step_clock("+0");
        node.restart().await;
        node
    }

    /// Starts the process, unless it is running.
    pub(super) async fn restart(&mut self) {
        if self.process.is_some() {
            return;
        }
        let mut command = Home::mito_in(&self.home, &self.args);
        if let Some(clock) = &self.clock {
            command
                .env("LD_PRELOAD", faketime())
                .env("FAKETIME_TIMESTAMP_FILE", clock)
                .env("FAKETIME_NO_CACHE", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        self.process = Some(ready(command, self.mark).await);
    }

    /// Sets the offset of the wall clock in seconds, such as `+45` or `-3600`. The monotonic clock is not affected.
    pub(super) fn step_clock(&self, offset: &str) {
        if let Some(clock) = &self.clock {
            std::fs::write(clock, offset).unwrap();
        }
    }

    pub(super) fn pid(&self) -> Option<Pid> {
        self.process.as_ref().map(Service::pid)
    }

    fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    /// Stops the process with SIGSTOP, and continues it after this time.
    pub(super) async fn freeze(&self, time: Duration) {
        self.signal(Signal::SIGSTOP);
        sleep(time).await;
        self.signal(Signal::SIGCONT);
    }

    /// Kills the process with SIGKILL.
    pub(super) async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Stops the process with SIGTERM; it must exit with success.
    pub(super) async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.signal(Signal::SIGTERM);
            let status = process.wait().await;
            assert!(status.success(), "{:?} stopped with {status}", self.args);
        }
    }

    pub(super) fn assert_runs(&mut self) {
        let process = self.process.as_mut().expect("it was started again");
        assert!(process.is_running(), "{:?} has ended by itself", self.args);
    }
}

/// The children of a process, except guards and commands.
pub(super) struct Children {
    pub(super) guards: Vec<Pid>,
    pub(super) commands: Vec<Pid>,
}

impl Children {
    pub(super) fn of(parent: Pid) -> Self {
        let mut found = Self { guards: Vec::new(), commands: Vec::new() };
        for task in std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            for child in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
                let command = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
                let is_guard = command.split(|byte| *byte == 0).nth(1) == Some(b"__guard");
                let list = if is_guard { &mut found.guards } else { &mut found.commands };
                list.push(Pid::from_raw(child));
            }
        }
        found
    }

    /// Kills the commands, as a crash of their machine would.
    pub(super) fn kill_commands(&self) {
        for command in &self.commands {
            // Each command leads a process group, which may have ended by itself.
            let _ = killpg(*command, Signal::SIGKILL);
        }
    }

    pub(super) fn kill_guards(&self) {
        for guard in &self.guards {
            let _ = kill(*guard, Signal::SIGKILL);
        }
    }
}

async fn ready(command: Command, mark: &str) -> Service {
    Service::start(command, mark).await.0
}

/// Waits until a condition holds.
pub(super) async fn until(what: &str, limit: Duration, mut holds: impl AsyncFnMut() -> Result<(), String>) {
    let deadline = Instant::now() + limit;
    loop {
        match holds().await {
            Ok(()) => return,
            Err(state) => assert!(Instant::now() < deadline, "{what} after {limit:?}: {state}"),
        }
        sleep(POLL_INTERVAL.max(limit.min(LIMIT) / 1_000)).await;
    }
}
