//! Wakes whoever waits for something to happen.

use tokio::sync::watch;

/// Rung after a commit that others may wait for. A ring is a hint: whoever wakes looks at the store, and
/// whoever sleeps looks again by itself after a while, since a hint may get lost on its way.
#[derive(Debug)]
pub(crate) struct Bell {
    /// Rings of this coordinator and of others.
    all: watch::Sender<u64>,
    /// Rings of this coordinator, which others have to be told.
    own: watch::Sender<u64>,
}

impl Bell {
    pub(crate) fn new() -> Self {
        Self { all: watch::Sender::new(0), own: watch::Sender::new(0) }
    }

    /// Something happened here.
    pub(crate) fn ring(&self) {
        self.own.send_modify(|rings| *rings = rings.wrapping_add(1));
        self.echo();
    }

    /// Something happened at another coordinator.
    pub(crate) fn echo(&self) {
        self.all.send_modify(|rings| *rings = rings.wrapping_add(1));
    }

    /// Starts to listen. Listen first, then look at the store: a ring in between is not missed.
    pub(crate) fn listen(&self) -> Listener {
        Listener(self.all.subscribe())
    }

    /// Starts to listen to what others have to be told.
    pub(crate) fn listen_to_own(&self) -> Listener {
        Listener(self.own.subscribe())
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

    /// Whether it rang since it was last heard; hears it.
    pub(crate) fn has_rung(&mut self) -> bool {
        let rang = self.0.has_changed().unwrap_or(false);
        self.0.mark_unchanged();
        rang
    }
}
