//! Reads what came of the runs of a schedule.

use mitosis_protocol::schedule::ScheduleRunsReply;
use reqwest::Method;

use super::FEATURE;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `GET /v1/schedules/{schedule}/runs`: the kept runs, newest first.
    pub async fn schedule_runs(&self, schedule: i64) -> Result<ScheduleRunsReply, ClientError> {
        self.require(FEATURE).await?;
        self.call(Method::GET, &format!("/v1/schedules/{schedule}/runs")).read().await
    }
}
