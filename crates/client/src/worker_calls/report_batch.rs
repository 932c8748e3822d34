//! Reports ended attempts, and fetches the next tasks.

use std::time::Duration;

use mitosis_protocol::agent::{ReportBatch, ReportBatchReply};
use reqwest::Method;

use crate::{ClientError, WorkerClient};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

impl WorkerClient {
    /// `POST /v1/agents/report`. Repeating a report is safe.
    pub async fn report_batch(&self, report: &ReportBatch) -> Result<ReportBatchReply, ClientError> {
        self.call(Method::POST, "/v1/agents/report").json(report).within(REQUEST_TIMEOUT).read().await
    }
}
