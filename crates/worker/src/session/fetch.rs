//! Fetches tasks by the legacy protocol and runs them one after the other.

use std::time::Duration;

use mitosis_client::ClientError;
use mitosis_protocol::Granted;

use super::{Session, SessionEnd};
use crate::retry::BackoffTimer;
use crate::run::{self, AttemptError, SlotContext};

/// How long a coordinator may hold a request for a task.
const LONG_POLL: Duration = Duration::from_secs(20);

impl Session {
    /// Runs one task after the other until the session ends.
    pub(super) async fn fetch_and_run(&self, context: &SlotContext) -> SessionEnd {
        let mut backoff = BackoffTimer::new(&*self.context.settings.entropy);
        let mut has_space = self.has_space.subscribe();
        loop {
            if !*has_space.borrow_and_update() {
                tokio::select! {
                    _ = has_space.changed() => continue,
                    () = self.context.settings.drain.cancelled() => return SessionEnd::Stopped,
                }
            }
            let fetched = tokio::select! {
                Ok(()) = has_space.changed() => continue,
                fetched = self.context.client.fetch(LONG_POLL) => fetched,
                () = self.context.settings.drain.cancelled() => return SessionEnd::Stopped,
            };
            match fetched {
                Ok(None) => {
                    backoff.reset();
                    tokio::time::sleep(self.context.settings.polling_interval).await;
                }
                Ok(Some(task)) => {
                    backoff.reset();
                    let outcome = run::run(&self.context, context, task, Granted::default(), None).await;
                    context.scratch.clear().await;
                    match outcome {
                        Ok(_) | Err(AttemptError::Revoked) => {}
                        Err(AttemptError::WorkerUnknown) => return self.session_end_after_refusal().await,
                        // The registration has one slot, so a new registration is a new slot.
                        Err(
                            AttemptError::LeaseExpired
                            | AttemptError::Rejected
                            | AttemptError::RenewalOverdue
                            | AttemptError::NotStarted,
                        ) => {
                            return SessionEnd::Reregister;
                        }
                    }
                }
                Err(error) if error.status() == Some(401) => return self.session_end(&error),
                Err(error) => self.pause_after_error(&error, &mut backoff).await,
            }
        }
    }

    async fn pause_after_error(&self, error: &ClientError, backoff: &mut BackoffTimer<'_>) {
        let wait = backoff.after_failure(error, "fetching a task");
        let wait = if error.is_transient() { wait } else { self.context.settings.polling_interval };
        tokio::time::sleep(wait).await;
    }
}
