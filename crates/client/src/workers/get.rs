//! Reads a worker.

use mitosis_protocol::Uuid;
use mitosis_protocol::worker::GetWorkerReply;
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `GET /workers/{uuid}`.
    pub async fn worker(&self, uuid: Uuid) -> Result<GetWorkerReply, ClientError> {
        self.call(Method::GET, &format!("/workers/{uuid}")).read().await
    }
}
