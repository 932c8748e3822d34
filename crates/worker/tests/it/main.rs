//! Tests of the worker against a scripted coordinator.

#![expect(clippy::unwrap_used, reason = "a test that cannot continue panics, in its helpers too")]

mod agent;
mod directory;
mod endings;
mod inputs;
mod leftovers;
mod limits;
mod live;
mod objects;
mod outages;
mod script;
mod silence;
mod tasks;
mod watching;
