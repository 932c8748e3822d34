//! Asking for tasks and running them, one after the other.

use std::time::Duration;

use mitosis_client::ClientError;
use mitosis_protocol::agent::{Done, NextReply, NextRequest};
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
        let mut done = None;
        loop {
            let asked = Instant::now();
            match self.next(done).await {
                Ok(NextReply { accepted, task }) => {
                    if done.take().is_some() && accepted != Some(true) {
                        tracing::warn!("the task had been taken back; its result is not wanted any more");
                    }
                    let Some(task) = task else {
                        self.rest_after_nothing(asked, &mut waits).await;
                        continue;
                    };
                    waits.reset();
                    match run::run(self, task).await {
                        Ok(ended) => done = ended,
                        Err(Lost::TakenBack) => {}
                        Err(Lost::Unknown) => return self.unknown_to_the_coordinator(),
                        Err(Lost::GivenUp) => return Farewell::GivenUp,
                    }
                }
                Err(error) if error.status() == Some(401) => return self.unknown_to_the_coordinator(),
                Err(error) => self.rest_after_an_error(&error, &mut waits).await,
            }
        }
    }

    /// Hands in what is done and asks for the next task. An old coordinator is told of an end before.
    async fn next(&self, done: Option<Done>) -> Result<NextReply, ClientError> {
        if self.is_with_ours {
            return self.client.next(&NextRequest { done, wait: Some(HOLD) }).await;
        }
        Ok(NextReply { accepted: None, task: self.client.fetch(HOLD).await? })
    }

    async fn rest_after_nothing(&self, asked: Instant, waits: &mut Waits<'_>) {
        if !self.is_with_ours {
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
