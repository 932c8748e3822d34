//! The agent that runs tasks.
//!
//! A worker has slots. Each slot registers with the coordinator, asks for one task at a time, runs it in
//! a process group of its own and reports the result (semantics §7). It talks to the coordinator only
//! through the client, and keeps two promises: a result that exists is reported, however long the
//! coordinator is away; and no command runs on after the lease on its task is over.

mod insist;
mod os;
mod run;
mod session;
mod settings;
mod slot;
mod worker;

pub use settings::{Login, Settings};
pub use worker::{Ended, Worker, WorkerError};
