//! Asking for tasks and running them, one after the other.

use std::time::Duration;

use mitosis_client::ClientError;

use super::{Farewell, Session};
use crate::insist::Waits;
use crate::run::{self, Lost, Place};

/// How long a coordinator may hold a request for a task.
const HOLD: Duration = Duration::from_secs(20);

impl Session {
    /// Runs one task after the other by the contract's protocol, until the coordinator does not want this
    /// worker any more.
    pub(super) async fn take_tasks(&self, place: &Place) -> Farewell {
        let mut waits = Waits::new(&*self.settings.entropy);
        let mut has_room = self.has_room.subscribe();
        loop {
            if !*has_room.borrow_and_update() {
                tokio::select! {
                    _ = has_room.changed() => continue,
                    () = self.settings.drain.cancelled() => return Farewell::Stopped,
                }
            }
            let fetched = tokio::select! {
                Ok(()) = has_room.changed() => continue,
                fetched = self.client.fetch(HOLD) => fetched,
                () = self.settings.drain.cancelled() => return Farewell::Stopped,
            };
            match fetched {
                Ok(None) => {
                    waits.reset();
                    tokio::time::sleep(self.settings.polling_interval).await;
                }
                Ok(Some(task)) => {
                    waits.reset();
                    let outcome = run::run(self, place, task, None).await;
                    place.scratch.clear().await;
                    match outcome {
                        Ok(_) | Err(Lost::TakenBack) => {}
                        Err(Lost::Unknown) => return self.farewell_after_refusal().await,
                        // The registration has one slot, so a new one is a new slot.
                        Err(Lost::GivenUp | Lost::Refused | Lost::Overdue | Lost::NotStarted) => {
                            return Farewell::GivenUp;
                        }
                    }
                }
                Err(error) if error.status() == Some(401) => return self.farewell(&error),
                Err(error) => self.rest_after_an_error(&error, &mut waits).await,
            }
        }
    }

    async fn rest_after_an_error(&self, error: &ClientError, waits: &mut Waits<'_>) {
        let wait = waits.after(error, "asking for a task");
        let wait = if error.is_transient() { wait } else { self.settings.polling_interval };
        tokio::time::sleep(wait).await;
    }
}
