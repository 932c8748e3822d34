//! Exit codes. The table is in `docs/guide/exit-codes.md`; scripts rely on it.

use std::process::ExitCode;

/// How a command of `mito` ended, where it is not the task's own exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// A failure that has no code of its own.
    Failure = 1,
    /// Invalid usage.
    Usage = 2,
    /// A part of a batch failed; standard error names it.
    Partial = 3,
    /// A named object does not exist.
    NotFound = 66,
    /// Not logged in, or a wrong password.
    Auth = 67,
    /// The coordinator or the object store can't be reached.
    Network = 69,
    /// The coordinator, or this program, has a fault.
    Fault = 70,
    /// The command succeeded, and not everything that it left could be stored.
    OutputLost = 74,
    /// Too many requests; try again later.
    Later = 75,
    /// Logged in, but not allowed to do this.
    Forbidden = 77,
    /// The configuration can't be used.
    Config = 78,
    /// Several tasks were waited for, and some of them failed.
    SomeFailed = 123,
    /// The task was stopped at its timeout, or the wait for it was.
    TimedOut = 124,
    /// The task ended, or may go on, without a status of its own.
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
    /// For a command that ends at a request to stop: as a shell reports a death by that signal.
    pub(crate) fn of_request(signal: &str) -> Self {
        match signal {
            "SIGHUP" => Self::HungUp,
            "SIGTERM" => Self::Terminated,
            _ => Self::Interrupted,
        }
    }

    /// What scripts see beside the sentence, where no coordinator gave a word.
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

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
