//! Blueprints: a task with placeholders such as `{name}`, and a [`Plan`] of their values.
//!
//! Tasks are expanded on demand: each is a function of its index. So ten million tasks take no memory, and any part of
//! them can be repeated byte for byte, on the client or on a coordinator.
//!
//! A blueprint that was deserialized has passed the same checks as one that was built from code. It can't panic, and
//! [`Expansion::largest_task_bytes`] bounds the memory of a task before the first one is expanded. The limits of the
//! task itself are checked elsewhere.

mod blueprint;
mod error;
mod expansion;
mod plan;
mod template;
mod values;

pub use blueprint::Blueprint;
pub use error::InvalidBlueprint;
pub use expansion::Expansion;
pub use plan::{Column, Factor, Plan, variable};
pub use template::literal;
pub use values::{MAX_WIDTH, Values};

/// The maximum number of tasks of a blueprint.
pub const MAX_TASKS: u64 = 10_000_000;

/// The maximum number of parameters of a blueprint: the parameters that one task may have.
pub const MAX_PARAMETERS: usize = 256;
