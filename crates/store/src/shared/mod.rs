//! The operations, each implemented once for both databases.

mod accounts;
pub(crate) mod artifacts;
mod attachments;
mod audit;
pub(crate) mod dispatch;
mod events;
mod expected_uploads;
mod explain;
mod groups;
pub(crate) mod jobs;
pub(crate) mod limits;
mod outputs;
mod packing;
mod personal_tokens;
mod retention;
mod rights;
mod schedules;
mod secrets;
mod site;
pub(crate) mod tasks;
mod uploads;
pub(crate) mod webhooks;
pub(crate) mod workers;
