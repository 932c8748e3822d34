//! Keeping workers on this machine: a supervisor that holds their handles, and how to talk to it.
//!
//! One supervisor per user and machine, started when it is needed. It acts on processes that it started
//! itself, by their handles, never on processes found by name. Its workers end when it does, even when it
//! is killed: each holds the reading end of a pipe that only the supervisor keeps open.

pub(crate) mod call;
mod crew;
mod keeper;
pub(crate) mod log;
pub(crate) mod place;
mod policy;
pub(crate) mod supervisor;
pub(crate) mod wire;

/// Set for a worker that shall end when its standard input does.
pub(crate) const SUPERVISED: &str = "MITO_SUPERVISED";

/// The words that start a supervisor which stays.
pub(crate) const DETACHED: [&str; 3] = ["manager", "supervise", "--detached"];

/// Whether this process is such a supervisor.
pub(crate) fn is_detached() -> bool {
    std::env::args_os().skip(1).eq(DETACHED)
}
