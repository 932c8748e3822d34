//! Leaving.

use std::time::Duration;

use reqwest::Method;

use crate::{ClientError, WorkerClient};

/// Leaving must not take long, whatever the coordinator does.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

impl WorkerClient {
    /// `DELETE /workers`: a task that the worker holds waits for another.
    pub async fn sign_off(&self) -> Result<(), ClientError> {
        self.call(Method::DELETE, "/workers").within(REQUEST_TIMEOUT).done().await
    }

    /// `DELETE /workers?died=true`: the same for a worker that has died, whose tasks have lost an attempt. An older
    /// coordinator does not tell the two apart.
    pub async fn report_death(&self) -> Result<(), ClientError> {
        self.call(Method::DELETE, "/workers?died=true").within(REQUEST_TIMEOUT).done().await
    }
}
