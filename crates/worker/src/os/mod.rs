//! Operating system facilities: clocks, processes, locks and threads.

pub(crate) mod boot_clock;
pub(crate) mod cgroup;
pub(crate) mod children;
pub(crate) mod confinement;
pub(crate) mod directory_lock;
pub(crate) mod guard;
pub(crate) mod machine;
pub(crate) mod machine_resources;
pub(crate) mod process_group;
mod process_tree;
pub(crate) mod processes;
pub(crate) mod remove_tree;
pub(crate) mod thread;
