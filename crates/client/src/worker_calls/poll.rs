//! Polls for tasks and directives.

use std::time::Duration;

use mitosis_protocol::agent::{PollReply, PollRequest};
use reqwest::Method;

use crate::{ClientError, WorkerClient};

/// Time limit in addition to the time for which the request is held.
const LONG_POLL_MARGIN: Duration = Duration::from_secs(10);

impl WorkerClient {
    /// `POST /v1/agents/poll`, held for up to the time that the request names.
    pub async fn poll(&self, request: &PollRequest) -> Result<PollReply, ClientError> {
        let wait = request.wait.unwrap_or_default();
        self.call(Method::POST, "/v1/agents/poll").json(request).within(wait + LONG_POLL_MARGIN).read().await
    }
}
