//! What the operating system does for a worker.

pub(crate) mod group;
pub(crate) mod thread;
