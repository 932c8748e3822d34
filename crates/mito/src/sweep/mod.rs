//! Many tasks from one command: where parameters come from, and how the tasks get to the coordinator,
//! each once.

mod check;
mod command;
mod document;
mod job;
mod kept;
mod patiently;
mod preview;
mod sent;
mod source;
mod submission;
mod upload;

pub(crate) use check::check;
pub(crate) use job::{Extras, Job};
pub(crate) use patiently::patiently;
pub(crate) use preview::preview;
pub(crate) use source::plan;
pub(crate) use submission::{Accepted, Submission};
pub(crate) use upload::{length, upload};
