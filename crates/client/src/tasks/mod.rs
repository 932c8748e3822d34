//! Tasks (HTTP contract §9) and their artifacts (§10).

mod artifacts;
mod attempts;
mod cancel;
mod change;
mod events;
mod explain;
mod find;
mod follow;
mod get;
mod logs;
mod outputs;
mod query;
mod results;
mod retry;
mod states;
mod stop;
mod submit;

pub use events::{EventScope, TaskEvents};
pub use logs::LogBytes;
