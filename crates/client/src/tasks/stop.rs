//! Stops a running task.

use mitosis_protocol::Uuid;
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /v1/tasks/{uuid}/stop`. The task ends as Cancelled once its processes have ended.
    pub async fn stop_task(&self, uuid: Uuid) -> Result<(), ClientError> {
        self.require("`stop`").await?;
        self.call(Method::POST, &format!("/v1/tasks/{uuid}/stop")).done().await
    }
}
