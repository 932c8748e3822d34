//! The tasks that a stop interrupts.

use std::time::Duration;

use mitosis_client::{ClientError, UserClient};
use mitosis_protocol::TaskState;
use mitosis_protocol::task::{QueryTasksRequest, TaskFilter};

use crate::show::pluralized;

/// How long a stop waits for the answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The number of running tasks that the user can see. 0 if there is no answer in time.
pub(super) async fn count(client: &UserClient) -> Result<u64, ClientError> {
    let filter = TaskFilter { states: Some(vec![TaskState::Running]), ..TaskFilter::default() };
    let query = QueryTasksRequest { filter, count: true, ..QueryTasksRequest::default() };
    match tokio::time::timeout(TIMEOUT, client.query_tasks(&query)).await {
        Ok(reply) => Ok(reply?.count),
        Err(_) => Ok(0),
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
