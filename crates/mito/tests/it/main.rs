//! Stories about the binary, told as its users live them: real processes, real files, real signals.

#![expect(clippy::unwrap_used, reason = "a test that can not go on panics, in its helpers too")]

mod bad_input;
mod cluster;
mod description;
mod dev;
mod home;
mod kills;
mod python;
mod run_local;
mod sdk;
