//! Changes, live states and live output of tasks, for those who follow them.

pub(crate) mod announcer;
pub(crate) mod feed;
pub(crate) mod output_hub;
pub(crate) mod relay;
pub(crate) mod states;
