//! Repeats operations of a worker's request while the database is unavailable.

use std::sync::Arc;
use std::time::Duration;

use mitosis_domain::backoff::Backoff;
use mitosis_domain::entropy::Entropy;
use mitosis_store::StoreError;
use tokio_util::sync::CancellationToken;

use crate::auth::worker::WorkerProgram;

/// How long a request is held. Clients and native agents repeat a rejected request.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long the request of a legacy worker is held. The worker has no timeout, and exits with its running task when a
/// request is rejected.
const LEGACY_TIMEOUT: Duration = Duration::from_secs(600);

tokio::task_local! {
    static CALLER_TIMEOUT: Duration;
}

/// Handles `request` with the timeout for its caller.
pub(crate) async fn within_timeout_of_caller<F: Future>(caller: WorkerProgram, request: F) -> F::Output {
    let timeout = match caller {
        WorkerProgram::Native => TIMEOUT,
        WorkerProgram::Legacy => LEGACY_TIMEOUT,
    };
    CALLER_TIMEOUT.scope(timeout, request).await
}

/// Repeats operations after transient errors; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Retry {
    entropy: Arc<dyn Entropy>,
    stopping: CancellationToken,
}

impl Retry {
    /// Stops retrying once `stopping` is cancelled.
    pub(crate) fn new(entropy: Arc<dyn Entropy>, stopping: CancellationToken) -> Self {
        Self { entropy, stopping }
    }

    /// Repeats an operation while it fails with transient errors. Operations are safe to repeat, also when it is
    /// unknown whether the last try was committed.
    pub(crate) async fn transient<T, F>(&self, mut operation: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let timeout = CALLER_TIMEOUT.try_with(|timeout| *timeout).unwrap_or(TIMEOUT);
        let deadline = tokio::time::Instant::now() + timeout;
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        loop {
            let error = match operation().await {
                Err(error) if error.is_transient() => error,
                outcome => return outcome,
            };
            let wait = backoff.next_wait(self.entropy.fraction());
            if tokio::time::Instant::now() + wait >= deadline || self.stopping.is_cancelled() {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
        }
    }
}
