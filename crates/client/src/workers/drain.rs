//! Lets a worker rest, and work again.

use mitosis_protocol::Uuid;
use mitosis_protocol::worker::DrainWorkerRequest;
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `PUT /v1/workers/{uuid}/drain`: it takes no more tasks, and stays registered.
    pub async fn drain_worker(&self, uuid: Uuid, reason: &str) -> Result<(), ClientError> {
        self.require("draining a worker").await?;
        let request = DrainWorkerRequest { reason: reason.to_owned() };
        self.call(Method::PUT, &format!("/v1/workers/{uuid}/drain")).json(&request).done().await
    }

    /// `DELETE /v1/workers/{uuid}/drain`: it takes tasks again.
    pub async fn resume_worker(&self, uuid: Uuid) -> Result<(), ClientError> {
        self.require("resuming a worker").await?;
        self.call(Method::DELETE, &format!("/v1/workers/{uuid}/drain")).done().await
    }
}
