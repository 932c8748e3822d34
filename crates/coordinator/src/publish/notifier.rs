//! Wakes tasks that wait for a change.

use tokio::sync::watch;

/// Notifies subscribers after a commit that they may wait for; cheap to clone. A notification is a hint: a subscriber
/// that wakes reads the store, and reads it again after a while without one, since hints between coordinators may get
/// lost.
#[derive(Debug, Clone)]
pub(crate) struct Notifier {
    /// Counts notifications of this coordinator and of its peers.
    all: watch::Sender<u64>,
    /// Counts notifications of this coordinator, which its peers need to know.
    own: watch::Sender<u64>,
}

impl Notifier {
    pub(crate) fn new() -> Self {
        Self { all: watch::Sender::new(0), own: watch::Sender::new(0) }
    }

    /// Notifies subscribers of this coordinator and of its peers.
    pub(super) fn notify(&self) {
        self.own.send_modify(|count| *count = count.wrapping_add(1));
        self.notify_locally();
    }

    /// Notifies subscribers of this coordinator, on behalf of a peer.
    pub(super) fn notify_locally(&self) {
        self.all.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Subscribes to all notifications. Subscribe before reading the store, so that none in between is missed.
    pub(crate) fn subscribe(&self) -> Subscription {
        Subscription(self.all.subscribe())
    }

    /// Subscribes to notifications that peers need to know.
    pub(crate) fn subscribe_to_own(&self) -> Subscription {
        Subscription(self.own.subscribe())
    }
}

/// Receives every notification since it was made or last received one.
#[derive(Debug)]
pub(crate) struct Subscription(watch::Receiver<u64>);

impl Subscription {
    /// Returns at the next notification; never, once the notifier is dropped.
    pub(crate) async fn notified(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether there was a notification since the last one received; receives it.
    pub(crate) fn take(&mut self) -> bool {
        let notified = self.0.has_changed().unwrap_or(false);
        self.0.mark_unchanged();
        notified
    }
}
