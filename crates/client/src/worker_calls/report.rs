//! Reports on a task by the legacy protocol.

use std::time::Duration;

use mitosis_protocol::report::{ReportOp, ReportReply, ReportRequest};
use reqwest::Method;

use crate::{ClientError, WorkerClient};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

impl WorkerClient {
    /// `POST /workers/tasks`. Repeating a report is safe.
    pub async fn report(&self, report: &ReportRequest) -> Result<ReportReply, ClientError> {
        let call = self.call(Method::POST, "/workers/tasks");
        let call = if matches!(report.op, ReportOp::Upload(_)) { call.uploading() } else { call };
        call.json(report).within(REQUEST_TIMEOUT).read().await
    }
}
