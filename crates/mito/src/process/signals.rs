//! Handles signals. The first request to stop is graceful, the second one is immediate.

use std::io;
use std::os::fd::AsFd as _;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal, SignalKind};

use super::failure::Failure;

/// Requests to stop: from the keyboard, the system, or the supervisor.
#[derive(Debug)]
pub(crate) struct StopRequests {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
    lifeline: Option<Lifeline>,
}

impl StopRequests {
    /// Starts to handle SIGINT and SIGTERM.
    pub(crate) fn listen() -> Result<Self, Failure> {
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: None,
            lifeline: None,
        })
    }

    /// Like [`Self::listen`]. A hangup is a request, too, except under `nohup`.
    pub(crate) fn listen_on_terminal() -> Result<Self, Failure> {
        let hangup = if outlives_its_terminal() { None } else { Some(listen(SignalKind::hangup())?) };
        Ok(Self { hangup, ..Self::listen()? })
    }

    /// Like [`Self::listen`]. The end of standard input is a request, too: the supervisor is gone.
    pub(crate) fn listen_with_lifeline() -> Result<Self, Failure> {
        Ok(Self { lifeline: Some(Lifeline::hold().map_err(cannot_listen)?), ..Self::listen()? })
    }

    /// Waits for the next request, and returns its kind.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            () = received(&mut self.hangup) => "SIGHUP",
            () = gone(&mut self.lifeline) => {
                self.lifeline = None;
                "the end of the manager"
            }
        }
    }
}

/// Ctrl-C as an interrupt of one command. Once it is handled, it no longer ends the process.
#[derive(Debug)]
pub(crate) struct Interrupts(Signal);

impl Interrupts {
    /// Starts to handle Ctrl-C.
    pub(crate) fn listen() -> Result<Self, Failure> {
        listen(SignalKind::interrupt()).map(Self)
    }

    /// Waits for the next interrupt.
    pub(crate) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Handles a signal, which no longer ends this process.
pub(crate) fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    tokio::signal::unix::signal(kind).map_err(cannot_listen)
}

fn cannot_listen(error: io::Error) -> Failure {
    Failure::io("cannot listen to signals", error)
}

/// Whether this process was started with SIGHUP ignored.
fn outlives_its_terminal() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    // Bit 0 is signal 1, SIGHUP.
    ignored & 1 == 1
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

async fn gone(lifeline: &mut Option<Lifeline>) {
    match lifeline {
        Some(lifeline) => lifeline.cut().await,
        None => std::future::pending().await,
    }
}

/// The reading end of a pipe that another process holds open.
#[derive(Debug)]
struct Lifeline(pipe::Receiver);

impl Lifeline {
    fn hold() -> io::Result<Self> {
        pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?).map(Self)
    }

    /// Waits until the other process has closed the pipe or is dead. Nothing is ever written to it.
    async fn cut(&mut self) {
        let mut ignored = [0; 64];
        while self.0.read(&mut ignored).await.is_ok_and(|length| length > 0) {}
    }
}
