//! Submits a job of a schedule now.

use mitosis_protocol::schedule::RunScheduleReply;
use reqwest::Method;

use super::FEATURE;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /v1/schedules/{schedule}/run`: each request submits a job.
    pub async fn run_schedule(&self, schedule: i64) -> Result<RunScheduleReply, ClientError> {
        self.require(FEATURE).await?;
        self.call(Method::POST, &format!("/v1/schedules/{schedule}/run")).read().await
    }
}
