//! What happens to tasks while they run, passed on to whoever asks.

pub(crate) mod announcer;
pub(crate) mod feed;
pub(crate) mod output_hub;
pub(crate) mod relay;
pub(crate) mod states;
