//! Changes a job.

use mitosis_protocol::job::JobChange;
use reqwest::Method;

use super::FEATURE;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `PATCH /v1/jobs/{job}`: pauses, resumes or changes a job.
    pub async fn change_job(&self, job: i64, change: &JobChange) -> Result<(), ClientError> {
        self.require(FEATURE).await?;
        self.call(Method::PATCH, &format!("/v1/jobs/{job}")).json(change).done().await
    }
}
