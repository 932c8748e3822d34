//! Named limits of groups. Native.

mod list;
mod remove;
mod set;

/// What an older coordinator lacks.
const FEATURE: &str = "named limits";
