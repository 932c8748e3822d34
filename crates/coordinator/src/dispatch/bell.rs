//! Wakes held fetches when a task may have become Ready.

use tokio::sync::watch;

/// Rung after a commit that made tasks Ready. A ring is a hint: whoever wakes looks at the store, and
/// whoever sleeps looks again by itself after a while, since other coordinators ring their own bells.
#[derive(Debug)]
pub(crate) struct Bell(watch::Sender<u64>);

impl Bell {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(crate) fn ring(&self) {
        self.0.send_modify(|rings| *rings = rings.wrapping_add(1));
    }

    /// Starts to listen. Listen first, then look at the store: a ring in between is not missed.
    pub(crate) fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

/// Hears every ring since it was made or last heard one.
#[derive(Debug)]
pub(crate) struct Listener(watch::Receiver<u64>);

impl Listener {
    /// Returns at the next ring; never, once the bell is gone.
    pub(crate) async fn heard(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
