//! Retries calls to the coordinator with backoff.

use std::time::Duration;

use mitosis_client::ClientError;
use mitosis_domain::backoff::Backoff;
use mitosis_domain::entropy::Entropy;

const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// A series of growing pauses with jitter.
pub(crate) struct BackoffTimer<'a> {
    backoff: Backoff,
    entropy: &'a dyn Entropy,
    has_warned: bool,
}

impl<'a> BackoffTimer<'a> {
    pub(crate) fn new(entropy: &'a dyn Entropy) -> Self {
        Self { backoff: Backoff::new(MIN_BACKOFF, MAX_BACKOFF), entropy, has_warned: false }
    }

    pub(crate) fn next_wait(&mut self) -> Duration {
        self.backoff.next_wait(self.entropy.fraction())
    }

    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.next_wait()).await;
    }

    /// Returns the next pause, after a call failed without an answer. Only the first failure of a series is
    /// logged as a warning.
    pub(crate) fn after_failure(&mut self, error: &ClientError, operation: &str) -> Duration {
        let wait = self.next_wait();
        match std::mem::replace(&mut self.has_warned, true) {
            false => tracing::warn!(%error, ?wait, "{operation}: the coordinator does not answer; retrying"),
            true => tracing::debug!(%error, ?wait, "{operation}: still no answer"),
        }
        wait
    }

    pub(crate) fn reset(&mut self) {
        self.backoff.reset();
        if std::mem::take(&mut self.has_warned) {
            tracing::info!("the coordinator answers again");
        }
    }
}

/// Repeats a call while the coordinator is unavailable or has an internal error. Returns its answer: a success
/// or a refusal. To stop the retries, drop the future.
pub(crate) async fn retry<T, F: Future<Output = Result<T, ClientError>>>(
    entropy: &dyn Entropy,
    operation: &str,
    mut call: impl FnMut() -> F,
) -> Result<T, ClientError> {
    let mut backoff = BackoffTimer::new(entropy);
    loop {
        match call().await {
            Err(error) if error.is_transient() => {
                tokio::time::sleep(backoff.after_failure(&error, operation)).await;
            }
            answer => return answer,
        }
    }
}
