//! Lists the attempts of a task.

use mitosis_protocol::Uuid;
use mitosis_protocol::job::AttemptsReply;
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `GET /v1/tasks/{uuid}/attempts`: the ended attempts, oldest first.
    pub async fn attempts(&self, task: Uuid) -> Result<AttemptsReply, ClientError> {
        self.require("attempts of a task").await?;
        self.call(Method::GET, &format!("/v1/tasks/{task}/attempts")).read().await
    }
}
