//! Reads the results of tasks.

use mitosis_protocol::sweep::{ResultsReply, ResultsRequest};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /v1/tasks/results`: one page, newest first.
    pub async fn results(&self, request: &ResultsRequest) -> Result<ResultsReply, ClientError> {
        self.require("`results`").await?;
        self.call(Method::POST, "/v1/tasks/results").json(request).read().await
    }
}
