//! The worker: runs tasks in slots.
//!
//! Each slot runs one task in its own process group (semantics §7). With a native coordinator, a worker is one
//! registration that uses the native protocol. With a legacy coordinator, every slot is a registration of its
//! own that uses the protocol of the contract. A worker talks to the coordinator only through the client, and
//! gives two guarantees. It reports every result, no matter how long the coordinator is unavailable. No command
//! continues after the lease of its task has expired; if the worker is killed, a second process ([`run_guard`])
//! ensures this.

mod agent;
mod exec_state;
mod exit;
mod inherited_env;
mod lease;
mod lease_limits;
mod os;
mod registration;
mod retry;
mod run;
mod session;
mod settings;
mod worker;

pub use exit::{WorkerError, WorkerExit};
pub use inherited_env::inherited_env;
pub use os::directory_lock::{DirectoryLock, remove_abandoned};
pub use os::guard::run_guard;
pub use os::machine_resources::{MachineResources, Roots};
pub use settings::{Isolation, Login, OutputLimit, OutputLimitAction, Settings};
pub use worker::Worker;
