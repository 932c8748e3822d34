//! Errors of requests to the supervisor.

use std::io;
use std::path::PathBuf;

/// Why the supervisor can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// A file, a socket or a process failed.
    #[error("{action}")]
    Io {
        /// What was attempted, such as "cannot start the manager".
        action: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Other users can enter the directory of the socket.
    #[error("{} is accessible to other users; the manager's socket must not be", .0.display())]
    NotPrivate(PathBuf),
    /// The supervisor does not know the request.
    #[error("the manager did not understand the request: {0}")]
    NotUnderstood(String),
    /// Another supervisor holds the lock and does not answer.
    #[error("another manager is running and does not answer")]
    Unresponsive {
        /// Log file of the supervisor.
        log: PathBuf,
    },
    /// The supervisor exited before it was ready.
    #[error("the manager exited immediately")]
    ExitedEarly {
        /// Log file of the supervisor.
        log: PathBuf,
    },
}

impl SupervisorError {
    pub(crate) fn io(action: impl Into<String>, source: io::Error) -> Self {
        Self::Io { action: action.into(), source }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { .. } => None,
            Self::NotPrivate(path) => Some(format!("restrict it to yourself: chmod 700 {}", path.display())),
            Self::NotUnderstood(_) => {
                Some("it may be another version; `mito manager kill` stops it and its workers".to_owned())
            }
            Self::Unresponsive { log } | Self::ExitedEarly { log } => {
                Some(format!("see its log, {}", log.display()))
            }
        }
    }
}
