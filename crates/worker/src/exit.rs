//! How a worker ends.

use mitosis_client::ClientError;

/// How a worker ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerExit {
    /// The worker was asked to stop.
    Stopped,
    /// The coordinator removed the worker, or its lifetime has ended.
    Removed,
}

/// Why a worker failed.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The coordinator refuses the login or the registration.
    #[error("the coordinator refuses this worker")]
    Refused(#[from] ClientError),
    /// The scratch directory is unusable.
    #[error("the scratch directory {path} is unusable")]
    Scratch {
        /// The path of the directory.
        path: std::path::PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The required isolation is not available.
    #[error("the isolation that is required is not available")]
    Isolation(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system can't start another thread.
    #[error("failed to start a thread for a slot")]
    Thread(#[source] std::io::Error),
    /// A task of the runtime panicked.
    #[error("a slot of the worker failed")]
    Fault(#[from] tokio::task::JoinError),
}
