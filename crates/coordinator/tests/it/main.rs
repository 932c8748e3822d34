//! Stories about the service, told over HTTP as clients and workers live them.

#![expect(clippy::unwrap_used, reason = "a test that can not go on panics, in its helpers too")]

mod account;
mod artifacts;
mod conversation;
mod dispatch;
mod input;
mod live_output;
mod stage;
mod tasks;
mod tenants;
mod workers;
