//! Reads a job.

use mitosis_protocol::job::JobReply;
use reqwest::Method;

use super::FEATURE;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `GET /v1/jobs/{job}`: the job, its progress, and the task as it was submitted.
    pub async fn job(&self, job: i64) -> Result<JobReply, ClientError> {
        self.require(FEATURE).await?;
        self.call(Method::GET, &format!("/v1/jobs/{job}")).read().await
    }
}
