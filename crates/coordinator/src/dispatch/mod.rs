//! Between the store and waiting workers: assigns tasks, wakes agents, renews leases, and repeats operations during an
//! outage. Nothing here knows the application.

pub(crate) mod agents;
pub(crate) mod exchange_batcher;
pub(crate) mod held_attempts;
pub(crate) mod leases;
pub(crate) mod notifier;
pub(crate) mod peer_notifier;
mod poll_queue;
pub(crate) mod renewals;
pub(crate) mod retry;
