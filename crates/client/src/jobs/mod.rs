//! Jobs: what one submission creates. Native.

mod cancel;
mod change;
mod events;
mod get;
mod query;
mod remove;
mod retry;
mod states;
mod submit;
mod tasks;
mod wait;

pub use events::JobEvents;

/// What an older coordinator lacks.
const FEATURE: &str = "jobs";
