//! Many tasks from one description: parameters that vary, job files, and a submission that can be resumed.
//!
//! A [`Sweep`] is a task with `{name}` in its texts and a [`Plan`] of what the names stand for. Nothing is expanded
//! before it is needed: a task is made from its index alone, so a hundred thousand of them cost no memory, and any part
//! can be made again, the same to the byte. A [`Job`] is what a job file asks for, and a [`Submission`] sends each task
//! once, whatever is interrupted.

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

/// Most tasks of one sweep.
pub const MAX_TASKS: u64 = 10_000_000;
