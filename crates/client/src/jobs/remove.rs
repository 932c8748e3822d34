//! Deletes a job.

use mitosis_protocol::job::RemoveJobReply;
use reqwest::Method;

use super::FEATURE;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `DELETE /v1/jobs/{job}`: deletes an ended job with its tasks and their archives.
    pub async fn remove_job(&self, job: i64) -> Result<RemoveJobReply, ClientError> {
        self.require(FEATURE).await?;
        self.call(Method::DELETE, &format!("/v1/jobs/{job}")).in_bulk().read().await
    }
}
