//! Submits ended tasks again.

use mitosis_protocol::sweep::{RetryTasksReply, RetryTasksRequest};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /v1/tasks/retry`. With an idempotency key it is safe to repeat.
    pub async fn retry(&self, request: &RetryTasksRequest) -> Result<RetryTasksReply, ClientError> {
        self.require("`retry`").await?;
        self.call(Method::POST, "/v1/tasks/retry").in_bulk().json(request).read().await
    }
}
