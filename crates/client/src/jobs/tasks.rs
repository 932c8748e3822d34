//! Lists tasks of a job.

use mitosis_protocol::job::{JobTasksReply, JobTasksRequest};
use reqwest::Method;

use super::FEATURE;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /v1/jobs/{job}/tasks`: one page, in the order of the indices.
    pub async fn job_tasks(&self, job: i64, request: &JobTasksRequest) -> Result<JobTasksReply, ClientError> {
        self.require(FEATURE).await?;
        self.call(Method::POST, &format!("/v1/jobs/{job}/tasks")).json(request).read().await
    }
}
