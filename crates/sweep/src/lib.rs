//! Sweeps: many tasks from one description, job files, and submissions that can be resumed.
//!
//! A [`Sweep`] is a task with placeholders such as `{name}`, and a [`Plan`] of their values. Tasks are expanded on
//! demand: each is a function of its index, so a hundred thousand tasks take no memory, and any part can be repeated
//! byte for byte. A [`Job`] is the content of a job file. A [`Submission`] sends each task once, also after an
//! interruption.

mod attachment_key;
mod check;
mod command;
mod document;
mod error;
mod job;
mod parameter;
mod parameter_files;
mod plan;
mod retry;
mod saved_submission;
mod submission;
mod sweep;
mod template;
mod values;

pub use attachment_key::{attachment_key, cleaned_key, file_name};
pub use check::check;
pub use error::{Error, InvalidSweep};
pub use job::{Extras, Job, Upload};
pub use parameter::{Parameter, ParameterSource};
pub use parameter_files::{Combine, Sources};
pub use plan::{Column, Factor, Plan};
pub use retry::retry_transient;
pub use submission::{Accepted, Submission, Submitter};
pub use sweep::{Expansion, Sweep, variable};
pub use template::Template;
pub use values::Values;

/// The maximum number of tasks of a sweep.
pub const MAX_TASKS: u64 = 10_000_000;
