//! Asking for tasks and running them, one after the other.

use std::time::Duration;

use mitosis_client::ClientError;
use tokio::time::Instant;

use super::{Farewell, Session};
use crate::insist::Waits;
use crate::run::{self, Lost};

/// How long a coordinator may hold a request for a task.
const HOLD: Duration = Duration::from_secs(20);
/// An answer within this time was not held.
const AT_ONCE: Duration = Duration::from_millis(500);

impl Session {
    /// Runs one task after the other, until the coordinator does not want this worker any more.
    pub(super) async fn take_tasks(&self) -> Farewell {
        let mut waits = Waits::new(&*self.settings.entropy);
        loop {
            let asked = Instant::now();
            match self.client.fetch(HOLD).await {
                Ok(Some(task)) => {
                    waits.reset();
                    match run::run(self, task).await {
                        Ok(()) | Err(Lost::TakenBack) => {}
                        Err(Lost::Unknown) => return self.unknown_to_the_coordinator(),
                        Err(Lost::GivenUp) => return Farewell::GivenUp,
                    }
                }
                Ok(None) => self.rest_after_nothing(asked, &mut waits).await,
                Err(error) if error.status() == Some(401) => return self.unknown_to_the_coordinator(),
                Err(error) => self.rest_after_an_error(&error, &mut waits).await,
            }
        }
    }

    async fn rest_after_nothing(&self, asked: Instant, waits: &mut Waits<'_>) {
        if !self.holds_requests {
            tokio::time::sleep(self.settings.polling_interval).await;
        } else if asked.elapsed() < AT_ONCE {
            waits.pause().await;
        }
    }

    async fn rest_after_an_error(&self, error: &ClientError, waits: &mut Waits<'_>) {
        let wait = match error.is_transient() {
            true => waits.next_wait(),
            false => self.settings.polling_interval,
        };
        tracing::warn!(%error, ?wait, "can't ask for a task; trying again");
        tokio::time::sleep(wait).await;
    }
}
