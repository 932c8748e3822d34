//! Submits jobs.

use mitosis_protocol::job::{SubmitJobsReply, SubmitJobsRequest};
use reqwest::Method;

use super::FEATURE;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /v1/jobs`: all jobs are stored when this returns, or none. With an idempotency key it is safe to
    /// repeat.
    pub async fn submit_jobs(&self, jobs: &SubmitJobsRequest) -> Result<SubmitJobsReply, ClientError> {
        self.require(FEATURE).await?;
        for job in &jobs.jobs {
            self.require_for_surroundings(&job.task.task_spec).await?;
        }
        self.call(Method::POST, "/v1/jobs").in_bulk().json(jobs).read().await
    }
}
