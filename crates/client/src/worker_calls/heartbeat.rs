//! Sends a heartbeat.

use std::time::Duration;

use reqwest::Method;

use super::LeaseTerms;
use crate::{ClientError, WorkerClient};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

impl WorkerClient {
    /// `POST /workers/heartbeat`. Returns the lease terms, if the coordinator sends them.
    pub async fn heartbeat(&self) -> Result<Option<LeaseTerms>, ClientError> {
        let response = self.call(Method::POST, "/workers/heartbeat").within(REQUEST_TIMEOUT).send().await?;
        Ok(super::terms(&response))
    }
}
