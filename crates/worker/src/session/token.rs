//! Renews the worker's token.

use std::time::Duration;

use mitosis_client::ClientError;

use super::Session;
use crate::os::boot_clock::BootInstant;
use crate::retry::BackoffTimer;

/// The maximum time between two checks of the clock: timers stop while the machine is suspended.
const POLL_INTERVAL: Duration = Duration::from_secs(60);

impl Session {
    /// Renews the token at half of its lifetime. Ends only when the coordinator does not know this worker. A
    /// coordinator that grants no later end has a limit for this worker, which then ends as planned.
    pub(crate) async fn keep_token_valid(&self) -> ClientError {
        let Some(mut life) = self.token_life else { return std::future::pending().await };
        loop {
            sleep_with_suspends(life / 2).await;
            match self.renew_token().await {
                Ok(Some(renewed)) if renewed > life / 4 * 3 => life = renewed,
                Err(error) if error.status() == Some(401) => return error,
                Ok(_) => break tracing::debug!("the coordinator granted no later token expiry"),
                Err(error) => break tracing::debug!(%error, "failed to renew the token"),
            }
        }
        std::future::pending().await
    }

    /// Retries until the coordinator answers.
    async fn renew_token(&self) -> Result<Option<Duration>, ClientError> {
        let mut backoff = BackoffTimer::new(&*self.context.settings.entropy);
        loop {
            match self.context.client.renew_token().await {
                Ok(life) => {
                    if let Some(guard) = &self.guard {
                        guard.register(&self.context.client);
                    }
                    return Ok(life);
                }
                Err(error) if error.is_transient() => backoff.pause().await,
                Err(error) => return Err(error),
            }
        }
    }
}

async fn sleep_with_suspends(time: Duration) {
    let start = BootInstant::now();
    loop {
        let remaining = time.saturating_sub(start.elapsed());
        if remaining.is_zero() {
            return;
        }
        tokio::time::sleep(remaining.min(POLL_INTERVAL)).await;
    }
}
