//! Operating system facilities: clocks, processes, locks and threads.

pub(crate) mod boot_clock;
pub(crate) mod directory_lock;
pub(crate) mod group;
pub(crate) mod guard;
pub(crate) mod machine;
pub(crate) mod removal;
pub(crate) mod thread;
