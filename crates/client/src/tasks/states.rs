//! Reads the states of many tasks.

use std::time::Duration;

use mitosis_protocol::events::{StatesReply, StatesRequest};
use reqwest::Method;

use crate::{ClientError, UserClient};

/// Time limit in addition to the time for which the request is held.
const LONG_POLL_MARGIN: Duration = Duration::from_secs(30);

impl UserClient {
    /// `POST /v1/tasks/states`: the tasks that run or have ended, once the first one has ended or `wait` has passed.
    pub async fn states(&self, request: &StatesRequest) -> Result<StatesReply, ClientError> {
        self.require("states of many tasks").await?;
        let limit = request.wait.unwrap_or_default() + LONG_POLL_MARGIN;
        self.call(Method::POST, "/v1/tasks/states").json(request).within(limit).read().await
    }
}
