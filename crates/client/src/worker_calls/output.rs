//! Sends live output.

use std::time::Duration;

use mitosis_protocol::Uuid;
use mitosis_protocol::output::{OutputChunk, OutputDemand};
use reqwest::Method;

use crate::{ClientError, WorkerClient};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

impl WorkerClient {
    /// `GET /v1/workers/tasks/{uuid}/output`: the demand of followers, held for up to `wait`.
    pub async fn output_demand(&self, uuid: Uuid, wait: Duration) -> Result<OutputDemand, ClientError> {
        let path = format!("/v1/workers/tasks/{uuid}/output?wait={}s", wait.as_secs());
        self.call(Method::GET, &path).within(wait + REQUEST_TIMEOUT).read().await
    }

    /// `POST /v1/workers/tasks/{uuid}/output`. Returns the next demand.
    pub async fn output_chunk(&self, uuid: Uuid, chunk: &OutputChunk) -> Result<OutputDemand, ClientError> {
        let path = format!("/v1/workers/tasks/{uuid}/output");
        self.call(Method::POST, &path).json(chunk).within(REQUEST_TIMEOUT).read().await
    }
}
