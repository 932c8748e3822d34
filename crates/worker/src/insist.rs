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
}

impl<'a> Waits<'a> {
    pub(crate) fn new(entropy: &'a dyn Entropy) -> Self {
        Self { backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT), entropy }
    }

    pub(crate) fn next_wait(&mut self) -> Duration {
        let mut chance = [0; 4];
        self.entropy.fill(&mut chance);
        self.backoff.next_wait(u32::from_le_bytes(chance))
    }

    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.next_wait()).await;
    }

    pub(crate) fn reset(&mut self) {
        self.backoff.reset();
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
                let wait = waits.next_wait();
                tracing::warn!(%error, doing, ?wait, "trying again");
                tokio::time::sleep(wait).await;
            }
            answer => return answer,
        }
    }
}
