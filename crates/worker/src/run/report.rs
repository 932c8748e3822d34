//! Telling the coordinator (HTTP contract §12.2). Every report is repeated until it is answered.

use mitosis_client::ClientError;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::report::{ReportOp, ReportReply, ReportRequest};
use mitosis_protocol::{ExecState, TaskResult};

use super::{Attempt, Lost};
use crate::insist::insist;

impl Attempt<'_> {
    /// Says how the command ended.
    pub(super) async fn end(&self, end: ExecEnd) -> Result<(), Lost> {
        let op = match end {
            ExecEnd::Finished => ReportOp::Finish,
            ExecEnd::Cancelled => ReportOp::Cancel,
        };
        self.report(op).await.map(drop).map_err(|error| lost(&error))
    }

    /// Makes the result final.
    pub(super) async fn commit(&self, result: TaskResult) -> Result<(), Lost> {
        self.report(ReportOp::Commit(result)).await.map_err(|error| lost(&error))?;
        self.is_at(ExecState::TaskCommitted);
        Ok(())
    }

    pub(super) async fn report(&self, op: ReportOp) -> Result<ReportReply, ClientError> {
        let request = ReportRequest { id: self.task.id, op, attempt: self.key };
        let call = || self.session.client.report(&request);
        insist(&*self.session.settings.entropy, "reporting", call).await
    }
}

fn lost(error: &ClientError) -> Lost {
    tracing::warn!(%error, "a report was refused");
    match error.status() {
        Some(401) => Lost::Unknown,
        Some(404) => Lost::TakenBack,
        _ => Lost::Refused,
    }
}
