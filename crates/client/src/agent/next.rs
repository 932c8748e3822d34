//! Ending a task and getting the next.

use std::time::Duration;

use mitosis_protocol::agent::{NextReply, NextRequest};
use reqwest::Method;

use crate::{ClientError, WorkerClient};

/// What the connection may take on top of the time for which the request is held.
const MARGIN: Duration = Duration::from_secs(30);

impl WorkerClient {
    /// `POST /v1/workers/next`. Only a coordinator of ours knows it.
    pub async fn next(&self, request: &NextRequest) -> Result<NextReply, ClientError> {
        let wait = request.wait.unwrap_or_default();
        self.call(Method::POST, "/v1/workers/next").json(request).within(wait + MARGIN).read().await
    }
}
