//! The agent that runs tasks.
//!
//! A worker has slots, and runs a task in each, in a process group of its own (semantics §7). With a
//! coordinator of ours it is one registration that speaks the native protocol; with an old one every slot
//! is a registration of its own that speaks the contract's. It talks to the coordinator only
//! through the client, and keeps two promises: a result that exists is reported, however long the
//! coordinator is away; and no command runs on after the lease on its task is over. Should the worker be
//! killed, a second process ([`keep_guard`]) sees to that.

mod agent;
mod inherited;
mod insist;
mod live;
mod os;
mod run;
mod session;
mod settings;
mod slot;
mod worker;

pub use inherited::inherited;
pub use os::guard::keep_guard;
pub use os::hold::{Hold, sweep};
pub use settings::{Login, Settings};
pub use worker::{Ended, Worker, WorkerError};
