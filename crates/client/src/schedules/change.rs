//! Changes a schedule.

use mitosis_protocol::schedule::ScheduleChange;
use reqwest::Method;

use super::FEATURE;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `PATCH /v1/schedules/{schedule}`: pauses, resumes or changes a schedule.
    pub async fn change_schedule(&self, schedule: i64, change: &ScheduleChange) -> Result<(), ClientError> {
        self.require(FEATURE).await?;
        self.call(Method::PATCH, &format!("/v1/schedules/{schedule}")).json(change).done().await
    }
}
