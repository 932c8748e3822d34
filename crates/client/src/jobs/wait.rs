//! Waits for jobs.

use std::time::Duration;

use mitosis_protocol::job::{AwaitJobsReply, AwaitJobsRequest};
use reqwest::Method;

use super::FEATURE;
use crate::{ClientError, UserClient};

/// Time limit in addition to the time for which the request is held.
const LONG_POLL_MARGIN: Duration = Duration::from_secs(30);

impl UserClient {
    /// `POST /v1/jobs/wait`: the jobs, once the first one has ended or `wait` has passed.
    pub async fn await_jobs(&self, request: &AwaitJobsRequest) -> Result<AwaitJobsReply, ClientError> {
        self.require(FEATURE).await?;
        let limit = request.wait.unwrap_or_default() + LONG_POLL_MARGIN;
        self.call(Method::POST, "/v1/jobs/wait").json(request).within(limit).read().await
    }
}
