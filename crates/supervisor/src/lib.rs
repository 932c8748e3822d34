//! A process supervisor for the workers of one user on one machine.
//!
//! One supervisor per user and machine, started on demand. It acts only on processes that it started itself, through
//! their handles, never on processes found by name. Its workers exit when it does, even when it is killed: each one
//! holds the reading end of a pipe that only the supervisor keeps open.
//!
//! The crate is independent of tasks and coordinators. A worker is a [`WorkerCommand`]; the exit codes after which
//! it is not restarted are an argument of [`Supervisor::new`].

mod client;
mod error;
pub mod log;
mod policy;
mod protocol;
mod state_dir;
mod supervisor;
mod worker_process;
mod workers;

pub use client::{ALREADY_RUNNING, Launch, READY, ask, ask_or_start};
pub use error::SupervisorError;
pub use protocol::{Reply, Request, State, WorkerCommand, WorkerStatus};
pub use state_dir::{LockFile, StateDir};
pub use supervisor::Supervisor;

/// Environment variable of a supervised worker. The worker exits when its standard input is closed.
pub const SUPERVISED: &str = "MITO_SUPERVISED";
