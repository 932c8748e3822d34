//! What the end of the process tells. The table is in the README; scripts rely on it.

use std::process::ExitCode;

/// How a command of `mito` ended, where it is not the task's own exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// A failure that has no code of its own.
    Failure = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// What the command names does not exist.
    NotFound = 66,
    /// The coordinator or the object store can't be reached.
    Network = 69,
    /// The coordinator, or this program, has a fault.
    Fault = 70,
    /// Not logged in, wrong password, or not allowed.
    Auth = 77,
    /// The configuration can't be used.
    Config = 78,
    /// The task was stopped at its timeout.
    TimedOut = 124,
    /// The task ended, or may go on, without a status of its own.
    Unknown = 125,
    /// Interrupted from the keyboard.
    Interrupted = 130,
    /// Whoever read the output went away.
    BrokenPipe = 141,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
