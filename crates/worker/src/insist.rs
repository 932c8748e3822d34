//! Asking until there is an answer.

use std::time::Duration;

use mitosis_client::ClientError;
use mitosis_domain::backoff::Backoff;
use mitosis_domain::entropy::Entropy;

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A series of waits, each longer than the one before, none in step with other workers'.
pub(crate) struct Waits<'a> {
    backoff: Backoff,
    entropy: &'a dyn Entropy,
    has_warned: bool,
}

impl<'a> Waits<'a> {
    pub(crate) fn new(entropy: &'a dyn Entropy) -> Self {
        Self { backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT), entropy, has_warned: false }
    }

    pub(crate) fn next_wait(&mut self) -> Duration {
        let mut chance = [0; 4];
        self.entropy.fill(&mut chance);
        self.backoff.next_wait(u32::from_le_bytes(chance))
    }

    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.next_wait()).await;
    }

    /// The next wait, after a call that `doing` made brought no answer. The first of a row is a warning; those that
    /// follow would say the same.
    pub(crate) fn after(&mut self, error: &ClientError, doing: &str) -> Duration {
        let wait = self.next_wait();
        match std::mem::replace(&mut self.has_warned, true) {
            false => tracing::warn!(%error, ?wait, "{doing}: no answer; trying again until there is one"),
            true => tracing::debug!(%error, ?wait, "{doing}: still no answer"),
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

/// Repeats a call for as long as the coordinator is away or has a fault of its own. What comes back is an
/// answer: a success, or a refusal. To give up, drop the future.
pub(crate) async fn insist<T, F: Future<Output = Result<T, ClientError>>>(
    entropy: &dyn Entropy,
    doing: &str,
    mut call: impl FnMut() -> F,
) -> Result<T, ClientError> {
    let mut waits = Waits::new(entropy);
    loop {
        match call().await {
            Err(error) if error.is_transient() => {
                tokio::time::sleep(waits.after(&error, doing)).await;
            }
            answer => return answer,
        }
    }
}
