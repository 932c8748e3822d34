//! What is true, whatever stores it and whatever carries it.
//!
//! Entities whose impossible combinations have no spelling, the limits of every input, and the
//! decisions: who may do what, which worker may take which task, when a lease is over. Pure
//! functions and plain data; no I/O, no runtime, no ambient time or randomness: [`clock`] and
//! [`entropy`] are how those come in.

pub mod account;
pub mod announcement;
pub mod backoff;
pub mod clock;
pub mod comparison;
pub mod crash;
pub mod entropy;
pub mod explain;
pub mod filter;
pub mod ids;
pub mod lease;
pub mod limits;
pub mod name;
pub mod object;
pub mod permission;
pub mod quota;
pub mod selector;
pub mod spec;
pub mod sweep;
pub mod tags;
pub mod task;
pub mod turns;
pub mod wait_status;
pub mod watch;
pub mod worker;
