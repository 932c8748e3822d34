//! Asking for a task.

use std::time::Duration;

use mitosis_protocol::worker::FetchedTask;
use reqwest::Method;

use crate::{ClientError, WorkerClient};

/// What the connection may take on top of the time for which the request is held.
const LONG_POLL_MARGIN: Duration = Duration::from_secs(30);

impl WorkerClient {
    /// `GET /workers/tasks`. A coordinator of ours holds the request for up to `wait`; an old one
    /// answers at once.
    pub async fn fetch(&self, wait: Duration) -> Result<Option<FetchedTask>, ClientError> {
        let path = format!("/workers/tasks?wait={}s", wait.as_secs());
        self.call(Method::GET, &path).within(wait + LONG_POLL_MARGIN).read().await
    }
}
