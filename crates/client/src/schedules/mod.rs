//! Schedules: jobs that are submitted at the times of a cron expression. Native.

mod change;
mod create;
mod get;
mod query;
mod remove;
mod run;
mod runs;

/// What an older coordinator lacks.
const FEATURE: &str = "schedules";
