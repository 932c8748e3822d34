//! Cancels tasks of a job.

use mitosis_protocol::job::{CancelJobReply, TaskSelection};
use reqwest::Method;

use super::FEATURE;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /v1/jobs/{job}/cancel`. An empty selection cancels the whole job.
    pub async fn cancel_job(&self, job: i64, tasks: &TaskSelection) -> Result<CancelJobReply, ClientError> {
        self.require(FEATURE).await?;
        self.call(Method::POST, &format!("/v1/jobs/{job}/cancel")).in_bulk().json(tasks).read().await
    }
}
