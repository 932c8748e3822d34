//! Secrets of groups. Native.

mod list;
mod remove;
mod set;

/// What an older coordinator lacks.
const FEATURE: &str = "secrets";
