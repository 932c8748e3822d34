//! Connects the store with waiting workers: assigns tasks, wakes agents, renews leases, and retries operations during an
//! outage. Nothing here depends on the application.

pub(crate) mod agents;
pub(crate) mod exchange_batcher;
pub(crate) mod held_attempts;
pub(crate) mod lease_clock;
pub(crate) mod peer_notifier;
mod poll_queue;
pub(crate) mod renewals;
pub(crate) mod retry;
