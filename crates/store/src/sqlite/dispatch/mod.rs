//! The way of a task through a worker.

mod claim;
mod complete;
mod follow_up;
pub(super) mod lease;
pub(super) mod lose;
mod report_end;

use async_trait::async_trait;
use mitosis_domain::ids::WorkerId;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::Timestamp;

use super::SqliteStore;
use super::tasks::insert::NewRow;
use crate::Fault;
use crate::ops::dispatch::{Assignment, Claim, Completed, Completion, Dispatch, EndReport, FollowUp, Holder};
use crate::ops::tasks::NewTask;

#[async_trait]
impl Dispatch for SqliteStore {
    async fn claim(&self, worker: WorkerId, tokens: &[i64], now: Timestamp) -> Result<Claim, Fault> {
        let tokens = tokens.to_vec();
        self.write(move |db| claim::claim(db, worker, &tokens, now)).await
    }

    async fn claim_or_resume(&self, worker: WorkerId, token: i64, now: Timestamp) -> Result<Claim, Fault> {
        self.write(move |db| claim::claim_or_resume(db, worker, token, now)).await
    }

    async fn complete_and_claim(
        &self,
        completion: &Completion,
        worker: WorkerId,
        token: i64,
        now: Timestamp,
    ) -> Result<(Completed, Claim), Fault> {
        let completion = completion.clone();
        self.write(move |db| {
            let completed = complete::complete(db, &completion, now)?;
            Ok((completed, claim::claim_or_resume(db, worker, token, now)?))
        })
        .await
    }

    async fn report_end(&self, holder: Holder, end: ExecEnd, now: Timestamp) -> Result<EndReport, Fault> {
        self.write(move |db| report_end::report_end(db, holder, end, now)).await
    }

    async fn held(&self, holder: Holder) -> Result<Option<Assignment>, Fault> {
        self.read(move |db| lease::held(db, holder)).await
    }

    async fn submit_follow_up(
        &self,
        holder: Holder,
        task: &NewTask,
        now: Timestamp,
    ) -> Result<FollowUp, Fault> {
        let row = NewRow::new(task)?;
        self.write(move |db| follow_up::submit(db, holder, &row, now)).await
    }

    async fn complete(&self, completions: &[Completion], now: Timestamp) -> Result<Vec<Completed>, Fault> {
        let completions = completions.to_vec();
        self.write(move |db| {
            completions.iter().map(|completion| complete::complete(db, completion, now)).collect()
        })
        .await
    }
}
