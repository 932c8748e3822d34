//! Lists the states of the tasks of a job.

use mitosis_protocol::job::{JobStatesQuery, JobStatesReply};
use reqwest::Method;

use super::FEATURE;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `GET /v1/jobs/{job}/states`: one page, in the order of the indices.
    pub async fn job_states(&self, job: i64, query: JobStatesQuery) -> Result<JobStatesReply, ClientError> {
        self.require(FEATURE).await?;
        let path = format!("/v1/jobs/{job}/states?after={}", query.after);
        self.call(Method::GET, &path).read().await
    }
}
