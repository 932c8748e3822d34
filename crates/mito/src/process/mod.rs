//! This process: signals, logging, failures and exit codes.

pub(crate) mod atomic_file;
pub(crate) mod container_init;
pub(crate) mod exit;
pub(crate) mod failure;
pub(crate) mod guard;
pub(crate) mod logging;
pub(crate) mod signals;
pub(crate) mod version;

/// The number of CPUs that this process may use, at least one.
pub(crate) fn available_cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
