//! Cancelling tasks that wait.

use mitosis_protocol::Uuid;
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `DELETE /tasks/{uuid}`. Refused with 404 once the task runs.
    pub async fn cancel(&self, uuid: Uuid) -> Result<(), ClientError> {
        self.call(Method::DELETE, &format!("/tasks/{uuid}")).done().await
    }
}
