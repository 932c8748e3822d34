//! What the operating system does for a worker.

pub(crate) mod boot_clock;
pub(crate) mod group;
pub(crate) mod guard;
pub(crate) mod hold;
pub(crate) mod machine;
pub(crate) mod thread;
