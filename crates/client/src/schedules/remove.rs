//! Deletes a schedule.

use reqwest::Method;

use super::FEATURE;
use crate::{ClientError, UserClient};

impl UserClient {
    /// `DELETE /v1/schedules/{schedule}`: its jobs stay.
    pub async fn remove_schedule(&self, schedule: i64) -> Result<(), ClientError> {
        self.require(FEATURE).await?;
        self.call(Method::DELETE, &format!("/v1/schedules/{schedule}")).done().await
    }
}
