//! Fetches a task by the legacy protocol.

use std::time::Duration;

use mitosis_protocol::worker::FetchedTask;
use reqwest::Method;

use crate::{ClientError, WorkerClient};

/// Time limit in addition to the time for which the request is held.
const LONG_POLL_MARGIN: Duration = Duration::from_secs(30);

impl WorkerClient {
    /// `GET /workers/tasks`. A native coordinator holds the request for up to `wait`; a legacy one answers at
    /// once.
    pub async fn fetch(&self, wait: Duration) -> Result<Option<FetchedTask>, ClientError> {
        let path = format!("/workers/tasks?wait={}s", wait.as_secs());
        self.call(Method::GET, &path).within(wait + LONG_POLL_MARGIN).read().await
    }
}
