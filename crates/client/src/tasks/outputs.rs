//! Reads the outputs of ended tasks.

use std::time::Duration;

use mitosis_protocol::output::{OutputsReply, OutputsRequest};
use reqwest::Method;

use crate::{ClientError, UserClient};

/// Time limit in addition to the time for which the request is held.
const LONG_POLL_MARGIN: Duration = Duration::from_secs(30);

impl UserClient {
    /// `POST /v1/tasks/outputs`: the outputs of ended tasks, once the first one has ended or `wait` has passed.
    pub async fn outputs(&self, request: &OutputsRequest) -> Result<OutputsReply, ClientError> {
        self.require("outputs of many tasks").await?;
        let limit = request.wait.unwrap_or_default() + LONG_POLL_MARGIN;
        self.call(Method::POST, "/v1/tasks/outputs").json(request).within(limit).read().await
    }
}
