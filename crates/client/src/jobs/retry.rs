//! Runs tasks of a job again.

use mitosis_protocol::job::{RetryJobReply, TaskSelection};
use reqwest::Method;

use super::FEATURE;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /v1/jobs/{job}/retry`. An empty selection means all tasks that did not succeed.
    pub async fn retry_job(&self, job: i64, tasks: &TaskSelection) -> Result<RetryJobReply, ClientError> {
        self.require(FEATURE).await?;
        self.call(Method::POST, &format!("/v1/jobs/{job}/retry")).in_bulk().json(tasks).read().await
    }
}
