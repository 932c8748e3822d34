//! Exit codes. The table is in `docs/guide/exit-codes.md`; scripts rely on it.

use std::process::ExitCode;

use mitosis_protocol::ShellCode;

/// The exit code of `mito`, unless it is that of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// A failure without its own code.
    Failure = 1,
    /// Invalid usage.
    Usage = 2,
    /// A part of a batch failed; standard error lists it.
    Partial = 3,
    /// A named object does not exist.
    NotFound = 66,
    /// Not logged in, or a wrong password.
    Auth = 67,
    /// The coordinator or the object store can't be reached.
    Network = 69,
    /// An internal error of the coordinator or of this program.
    Fault = 70,
    /// The command succeeded, but a part of its output could not be stored.
    OutputLost = 74,
    /// Too many requests; try again later.
    Later = 75,
    /// Logged in, but not allowed to do this.
    Forbidden = 77,
    /// The configuration is invalid.
    Config = 78,
    /// Some of several awaited tasks failed.
    SomeFailed = 123,
    /// The task, or the wait for it, timed out.
    TimedOut = 124,
    /// The task ended without an exit code, or may continue.
    Unknown = 125,
    /// The terminal was closed.
    HungUp = 129,
    /// Interrupted from the keyboard.
    Interrupted = 130,
    /// The reader closed the pipe.
    BrokenPipe = 141,
    /// Terminated by SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// The exit code for a request to stop, as a shell reports the signal.
    pub(crate) fn of_request(signal: &str) -> Self {
        match signal {
            "SIGHUP" => Self::HungUp,
            "SIGTERM" => Self::Terminated,
            _ => Self::Interrupted,
        }
    }

    /// The code word for scripts, when the coordinator sent none.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Usage => "usage",
            Self::Partial => "partial_failure",
            Self::NotFound => "not_found",
            Self::Auth => "not_logged_in",
            Self::Network => "unreachable",
            Self::Fault => "fault",
            Self::OutputLost => "output_lost",
            Self::Later => "too_many_requests",
            Self::Forbidden => "forbidden",
            Self::Config => "configuration",
            Self::SomeFailed => "some_failed",
            Self::TimedOut => "timeout",
            Self::Unknown => "no_status",
            Self::HungUp => "hung_up",
            Self::Interrupted => "interrupted",
            Self::BrokenPipe => "broken_pipe",
            Self::Terminated => "terminated",
        }
    }
}

impl From<Exit> for ShellCode {
    fn from(exit: Exit) -> Self {
        Self(exit as u8)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
