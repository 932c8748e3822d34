//! Sweeps: many tasks from one description, job files, and submissions that can be resumed.
//!
//! A [`Job`] is the content of a job file: a [`Blueprint`](mitosis_blueprint::Blueprint) for each of its tasks, and what
//! they need. A [`Submission`] sends the tasks of blueprints once, also after an interruption.

mod attachment_key;
mod check;
mod command;
mod directory;
mod document;
mod env_file;
mod error;
mod input;
mod job;
mod needs;
mod parameter;
mod parameter_files;
pub mod retries;
mod retry;
mod saved_submission;
mod script;
mod staged;
mod submission;

pub use attachment_key::{attachment_key, cleaned_key, file_name};
pub use check::check;
pub use directory::absolute_directory;
pub use env_file::env_file;
pub use error::Error;
pub use input::add_input;
pub use job::{Extras, Job, Step, StepResource, Upload, is_job_file};
pub use parameter::{Parameter, ParameterSource};
pub use parameter_files::{Combine, Sources};
pub use retry::retry_transient;
pub use script::{Directive, Script};
pub use staged::add_upload;
pub use submission::{Accepted, Submission, Submitter};
