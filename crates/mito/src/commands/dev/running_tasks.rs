//! The tasks that a stop interrupts.

use std::time::Duration;

use mitosis_client::{ClientError, UserClient};

use crate::show::pluralized;

/// How long a stop waits for the answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The number of tasks that run on all workers, in all groups: the user of `mito dev` is an administrator. 0 if there is no
/// answer in time.
pub(super) async fn count(client: &UserClient) -> Result<u64, ClientError> {
    match tokio::time::timeout(TIMEOUT, running(client)).await {
        Ok(count) => count,
        Err(_) => Ok(0),
    }
}

async fn running(client: &UserClient) -> Result<u64, ClientError> {
    let (mut count, mut after) = (0, None);
    loop {
        let page = client.all_workers(after).await?;
        // A worker holds more tasks than it has slots if it has fetched some in advance.
        count += page.workers.iter().map(|worker| worker.held_tasks.min(worker.slots.into())).sum::<u64>();
        after = page.next;
        if after.is_none() {
            return Ok(count);
        }
    }
}

/// `2 running tasks, which run again from the beginning after the next start`.
pub(super) fn consequence(count: u64) -> String {
    let runs = if count == 1 { "runs" } else { "run" };
    format!(
        "{}, which {runs} again from the beginning after the next start",
        pluralized(count, "running task")
    )
}
