//! The one owner of signals. Stopping has two stages: the first request lets things end in order, the
//! second ends them.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Requests to stop, from the keyboard or from the system.
#[derive(Debug)]
pub(crate) struct StopRequests {
    interrupt: Signal,
    terminate: Signal,
}

impl StopRequests {
    /// From now on this process does not end by itself at SIGINT and SIGTERM.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Ends at the next request; says which signal it was.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
