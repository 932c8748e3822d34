//! Sends heartbeats.

use mitosis_client::ClientError;
use tokio::time::Instant;

use super::open::TERMS_OF_LEGACY_COORDINATORS;
use super::{Session, heartbeat_pause};
use crate::os::boot_clock::BootInstant;
use crate::retry::BackoffTimer;
use crate::run::Protocol;

impl Session {
    /// Renews the lease whenever nothing else has renewed it for a while. Ends only when the coordinator does
    /// not know this worker, with its refusal.
    pub(crate) async fn send_heartbeats(&self) -> ClientError {
        let mut backoff = BackoffTimer::new(&*self.context.settings.entropy);
        let pause =
            || heartbeat_pause(self.context.settings.heartbeat_interval, self.context.lease.missed_after());
        let mut next = Instant::now() + pause();
        loop {
            tokio::time::sleep_until(next).await;
            // An agent's polls renew the lease too, and are held for a third of this time.
            let due = (pause() * 2).saturating_sub(self.context.lease.renewed().elapsed());
            if self.context.protocol == Protocol::Native && !due.is_zero() {
                next = Instant::now() + due;
                continue;
            }
            let sent = BootInstant::now();
            next = match self.context.client.heartbeat().await {
                Ok(terms) => {
                    self.context.lease.renew(sent, terms.unwrap_or(TERMS_OF_LEGACY_COORDINATORS));
                    backoff.reset();
                    Instant::now() + pause()
                }
                Err(error) if error.status() == Some(401) => return error,
                Err(error) => {
                    Instant::now() + backoff.after_failure(&error, "renewing the lease").min(pause())
                }
            };
        }
    }
}
