//! Repeating a request while the coordinator is away.

use std::time::Duration;

use mitosis_client::ClientError;
use mitosis_domain::backoff::Backoff;
use mitosis_domain::entropy::{Entropy as _, OsEntropy};
use tokio::time::Instant;

/// How long a coordinator may be away before we give up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes a request that is safe to repeat: it only reads, or has an idempotency key.
pub(crate) async fn patiently<T, F: Future<Output = Result<T, ClientError>>>(
    mut request: impl FnMut() -> F,
) -> Result<T, ClientError> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let since = Instant::now();
    loop {
        match request().await {
            Err(error) if error.is_transient() && since.elapsed() < PATIENCE => {
                let mut chance = [0; 4];
                OsEntropy.fill(&mut chance);
                tokio::time::sleep(backoff.next_wait(u32::from_le_bytes(chance))).await;
            }
            outcome => return outcome,
        }
    }
}
