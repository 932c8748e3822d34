//! Retries requests while the coordinator can't be reached.

use std::time::Duration;

use mitosis_client::ClientError;
use mitosis_domain::backoff::Backoff;
use mitosis_domain::entropy::{Entropy as _, OsEntropy};
use tokio::time::Instant;

/// How long a coordinator may be unreachable.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Repeats a request that is safe to repeat (it only reads, or has an idempotency key) after transient failures.
pub async fn retry_transient<T, F: Future<Output = Result<T, ClientError>>>(
    mut request: impl FnMut() -> F,
) -> Result<T, ClientError> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let since = Instant::now();
    loop {
        match request().await {
            Err(error) if error.is_transient() && since.elapsed() < TIMEOUT => {
                tokio::time::sleep(backoff.next_wait(OsEntropy.fraction())).await;
            }
            outcome => return outcome,
        }
    }
}
