//! Reads a schedule.

use mitosis_protocol::schedule::ScheduleReply;
use reqwest::Method;

use super::FEATURE;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `GET /v1/schedules/{schedule}`: the schedule, its next times, and the task as it was submitted.
    pub async fn schedule(&self, schedule: i64) -> Result<ScheduleReply, ClientError> {
        self.require(FEATURE).await?;
        self.call(Method::GET, &format!("/v1/schedules/{schedule}")).read().await
    }
}
