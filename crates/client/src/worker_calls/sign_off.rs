//! Signs a worker off.

use std::time::Duration;

use reqwest::Method;

use crate::{ClientError, WorkerClient};

/// A short time limit, so that a worker can exit quickly.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

impl WorkerClient {
    /// `DELETE /workers`: signs off and requeues held tasks.
    pub async fn sign_off(&self) -> Result<(), ClientError> {
        self.call(Method::DELETE, "/workers").within(REQUEST_TIMEOUT).done().await
    }

    /// `DELETE /workers?died=true`: signs off a worker that has died, whose tasks have lost an attempt. An
    /// older coordinator treats it as a normal sign-off.
    pub async fn report_death(&self) -> Result<(), ClientError> {
        self.call(Method::DELETE, "/workers?died=true").within(REQUEST_TIMEOUT).done().await
    }
}
