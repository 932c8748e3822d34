//! Sweeps: many tasks from one description, job files, and submissions that can be resumed.
//!
//! A [`Job`] is the content of a job file: a [`Blueprint`](mitosis_blueprint::Blueprint) for each of its tasks, and what
//! they need. A [`Submission`] sends the tasks of blueprints once, also after an interruption.

mod attachment_key;
mod check;
mod command;
mod document;
mod error;
mod job;
mod needs;
mod parameter;
mod parameter_files;
pub mod retries;
mod retry;
mod saved_submission;
mod submission;

pub use attachment_key::{attachment_key, cleaned_key, file_name};
pub use check::check;
pub use error::Error;
pub use job::{Extras, Job, Step, Upload};
pub use parameter::{Parameter, ParameterSource};
pub use parameter_files::{Combine, Sources};
pub use retry::retry_transient;
pub use submission::{Accepted, Submission, Submitter};
