//! Signs of life.

use tokio::time::Instant;

use super::open::LEASE_OF_OLD_COORDINATORS;
use super::{Session, heartbeat_pause};
use crate::insist::Waits;

impl Session {
    /// Renews the lease again and again; ends only when the coordinator does not know this worker.
    pub(super) async fn give_signs_of_life(&self) {
        let mut waits = Waits::new(&*self.settings.entropy);
        let pause = || heartbeat_pause(self.settings.heartbeat_interval, self.lease.length());
        let mut wait = pause();
        loop {
            tokio::time::sleep(wait).await;
            let sent = Instant::now();
            wait = match self.client.heartbeat().await {
                Ok(length) => {
                    self.lease.renew(sent, length.unwrap_or(LEASE_OF_OLD_COORDINATORS));
                    waits.reset();
                    pause()
                }
                Err(error) if error.status() == Some(401) => return,
                Err(error) => {
                    tracing::warn!(%error, "no answer to a heartbeat");
                    waits.next_wait().min(pause())
                }
            };
        }
    }
}
