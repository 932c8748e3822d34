//! Lists jobs.

use mitosis_protocol::job::{JobsReply, JobsRequest};
use reqwest::Method;

use super::FEATURE;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /v1/jobs/query`: one page, newest first.
    pub async fn jobs(&self, request: &JobsRequest) -> Result<JobsReply, ClientError> {
        self.require(FEATURE).await?;
        self.call(Method::POST, "/v1/jobs/query").json(request).read().await
    }
}
