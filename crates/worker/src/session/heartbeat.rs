//! Signs of life.

use mitosis_client::ClientError;
use tokio::time::Instant;

use super::open::TERMS_OF_OLD_COORDINATORS;
use super::{Session, heartbeat_pause};
use crate::insist::Waits;
use crate::os::boot_clock::BootInstant;

impl Session {
    /// Renews the lease whenever nothing else has renewed it for a while; ends only when the coordinator
    /// does not know this worker, with what it said.
    pub(crate) async fn give_signs_of_life(&self) -> ClientError {
        let mut waits = Waits::new(&*self.settings.entropy);
        let pause = || heartbeat_pause(self.settings.heartbeat_interval, self.lease.missed_after());
        let mut next = Instant::now() + pause();
        loop {
            tokio::time::sleep_until(next).await;
            // An agent's polls renew the lease too, and are held for a third of this time.
            let due = (pause() * 2).saturating_sub(self.lease.renewed().elapsed());
            if self.is_with_ours && !due.is_zero() {
                next = Instant::now() + due;
                continue;
            }
            let sent = BootInstant::now();
            next = match self.client.heartbeat().await {
                Ok(terms) => {
                    self.lease.renew(sent, terms.unwrap_or(TERMS_OF_OLD_COORDINATORS));
                    waits.reset();
                    Instant::now() + pause()
                }
                Err(error) if error.status() == Some(401) => return error,
                Err(error) => Instant::now() + waits.after(&error, "renewing the lease").min(pause()),
            };
        }
    }
}
