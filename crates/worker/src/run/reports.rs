//! Reports to the coordinator (HTTP contract §12.2). Every report is repeated until it is answered.

use mitosis_client::ClientError;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::report::{ReportOp, ReportReply, ReportRequest};
use mitosis_protocol::{ExecState, TaskResult};

use super::{Attempt, AttemptError};
use crate::retry::retry;

impl Attempt<'_> {
    /// Reports how the command ended.
    pub(super) async fn end(&self, end: ExecEnd) -> Result<(), AttemptError> {
        let op = match end {
            ExecEnd::Finished => ReportOp::Finish,
            ExecEnd::Cancelled => ReportOp::Cancel,
        };
        self.report(op).await.map(drop).map_err(|error| lost(&error))
    }

    /// Commits the result.
    pub(super) async fn commit(&self, result: TaskResult) -> Result<(), AttemptError> {
        self.report(ReportOp::Commit(result)).await.map_err(|error| lost(&error))?;
        self.report_state(ExecState::TaskCommitted);
        Ok(())
    }

    pub(super) async fn report(&self, op: ReportOp) -> Result<ReportReply, ClientError> {
        let request = ReportRequest { id: self.task.id, op, attempt: self.key };
        let call = || self.context.client.report(&request);
        retry(&*self.context.settings.entropy, "reporting", call).await
    }
}

fn lost(error: &ClientError) -> AttemptError {
    tracing::warn!(%error, "the coordinator refused a report");
    match error.status() {
        Some(401) => AttemptError::WorkerUnknown,
        Some(404) => AttemptError::Revoked,
        _ => AttemptError::Rejected,
    }
}
