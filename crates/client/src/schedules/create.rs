//! Creates a schedule.

use mitosis_protocol::schedule::{NewSchedule, ScheduleInfo};
use reqwest::Method;

use super::FEATURE;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /v1/schedules`: the name must be free in the group, so a repeated request creates nothing twice.
    pub async fn create_schedule(&self, schedule: &NewSchedule) -> Result<ScheduleInfo, ClientError> {
        self.require(FEATURE).await?;
        self.require_for_surroundings(&schedule.job.task.task_spec).await?;
        self.call(Method::POST, "/v1/schedules").in_bulk().json(schedule).read().await
    }
}
