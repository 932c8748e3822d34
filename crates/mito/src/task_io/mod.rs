//! The input and output of tasks on this machine: output on the terminal, exit codes, and files to upload.

mod attempts;
pub(crate) mod control_filter;
pub(crate) mod exit;
pub(crate) mod follow;
mod missing_resources;
pub(crate) mod progress;
pub(crate) mod states;
pub(crate) mod std_log;
pub(crate) mod stored_log;
pub(crate) mod terminal_output;
pub(crate) mod upload_source;
