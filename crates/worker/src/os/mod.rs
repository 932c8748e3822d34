//! Operating system facilities: clocks, processes, locks and threads.

pub(crate) mod boot_clock;
pub(crate) mod directory_lock;
pub(crate) mod guard;
pub(crate) mod machine;
pub(crate) mod process_group;
pub(crate) mod remove_tree;
pub(crate) mod thread;
