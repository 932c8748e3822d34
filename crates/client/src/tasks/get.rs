//! Reads a task.

use mitosis_protocol::Uuid;
use mitosis_protocol::task::GetTaskReply;
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `GET /tasks/{uuid}`.
    pub async fn task(&self, uuid: Uuid) -> Result<GetTaskReply, ClientError> {
        self.call(Method::GET, &format!("/tasks/{uuid}")).read().await
    }
}
