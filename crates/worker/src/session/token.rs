//! Keeping the worker's token good for as long as the worker is.

use std::time::Duration;

use mitosis_client::ClientError;

use super::Session;
use crate::insist::Waits;
use crate::os::boot_clock::BootInstant;

/// Longest time between two looks at the clock: timers stand still while the machine is suspended.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

impl Session {
    /// Renews the token at half of its life. Ends only when the coordinator does not know this worker. A
    /// coordinator that grants no later end has a limit for this worker, and its word counts when that comes.
    pub(crate) async fn keep_token_good(&self) -> ClientError {
        let Some(mut life) = self.token_life else { return std::future::pending().await };
        loop {
            rest(life / 2).await;
            match self.renew_token().await {
                Ok(Some(renewed)) if renewed > life / 4 * 3 => life = renewed,
                Err(error) if error.status() == Some(401) => return error,
                Ok(_) => break tracing::debug!("the token gets no later end"),
                Err(error) => break tracing::debug!(%error, "the token can't be renewed"),
            }
        }
        std::future::pending().await
    }

    /// Asks until there is an answer.
    async fn renew_token(&self) -> Result<Option<Duration>, ClientError> {
        let mut waits = Waits::new(&*self.settings.entropy);
        loop {
            match self.client.renew_token().await {
                Ok(life) => {
                    if let Some(guarded) = &self.guarded {
                        guarded.is_registered(&self.client);
                    }
                    return Ok(life);
                }
                Err(error) if error.is_transient() => waits.pause().await,
                Err(error) => return Err(error),
            }
        }
    }
}

async fn rest(time: Duration) {
    let begun = BootInstant::now();
    loop {
        let left = time.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK_AGAIN)).await;
    }
}
