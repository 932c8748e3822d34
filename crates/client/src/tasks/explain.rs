//! Explains why a task is in its state.

use mitosis_protocol::Uuid;
use mitosis_protocol::explain::Explanation;
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `GET /v1/tasks/{uuid}/explain`. A coordinator before 0.7 answers with 404.
    pub async fn explain_task(&self, uuid: Uuid) -> Result<Explanation, ClientError> {
        self.require("`explain`").await?;
        self.call(Method::GET, &format!("/v1/tasks/{uuid}/explain")).read().await
    }
}
