//! Groups (HTTP contract §7) and their attachments (§8).

mod attachments;
mod create;
mod delete;
mod get;
mod members;
mod notify_key;
mod write_priority;
