//! Holding a worker's request while the database is away.

use std::time::Duration;

use mitosis_domain::backoff::Backoff;
use mitosis_store::StoreError;

use crate::app::App;

/// How long a request is held. Clients and agents of ours ask again after a refusal.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the request of a published worker is held. It has no time limit of its own, and any refusal
/// ends it, with the task that it runs.
const PATIENCE_WITH_PUBLISHED: Duration = Duration::from_secs(600);

tokio::task_local! {
    static LIMIT: Duration;
}

/// Holds whatever `request` does for as long as its caller can bear.
pub(crate) async fn as_long_as_its_caller<F: Future>(is_ours: bool, request: F) -> F::Output {
    let limit = if is_ours { PATIENCE } else { PATIENCE_WITH_PUBLISHED };
    LIMIT.scope(limit, request).await
}

/// Repeats an operation while the database is away. Operations are safe to repeat, also when it is not
/// known whether the last try was committed.
pub(crate) async fn patiently<T, F>(app: &App, mut operation: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let limit = LIMIT.try_with(|limit| *limit).unwrap_or(PATIENCE);
    let deadline = tokio::time::Instant::now() + limit;
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    loop {
        let error = match operation().await {
            Err(error) if error.is_transient() => error,
            outcome => return outcome,
        };
        let wait = backoff.next_wait(chance(app));
        if tokio::time::Instant::now() + wait >= deadline || app.stopping.is_cancelled() {
            return Err(error);
        }
        tokio::time::sleep(wait).await;
    }
}

/// A number that is uniform over its whole range.
pub(crate) fn chance(app: &App) -> u32 {
    let mut bytes = [0; 4];
    app.entropy.fill(&mut bytes);
    u32::from_le_bytes(bytes)
}
