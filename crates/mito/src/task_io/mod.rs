//! What tasks read and write, on this machine: their output on the terminal, their end as an exit code, the files that
//! are sent for them.

pub(crate) mod archive;
pub(crate) mod exit;
pub(crate) mod follow;
mod missing_resources;
pub(crate) mod progress;
pub(crate) mod terminal_output;
pub(crate) mod upload_source;
