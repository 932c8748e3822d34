//! The domain model, independent of storage and transport.
//!
//! It contains the entities, whose invalid combinations can't be expressed, the limits of all inputs, and the
//! decisions: who may do what, which worker may run which task, when a lease expires. All of it is pure
//! functions and plain data, without I/O, a runtime, or ambient time or randomness, which are passed in as
//! [`clock`] and [`entropy`].

pub mod account;
pub mod announcement;
pub mod backoff;
pub mod clock;
pub mod comparison;
pub mod content_key;
pub mod entropy;
pub mod explain;
pub mod failpoints;
pub mod fairness;
pub mod filter;
pub mod hex;
pub mod ids;
pub mod index_set;
pub mod job;
pub mod job_plan;
pub mod lease;
pub mod limits;
pub mod name;
pub mod notify;
pub mod object;
pub mod older_worker;
pub mod permission;
pub mod quota;
pub mod reservation;
pub mod resources;
pub mod retry;
pub mod schedule;
pub mod secret;
pub mod selector;
pub mod spec;
pub mod tags;
pub mod task;
pub mod timeout;
pub mod watch;
pub mod worker;
