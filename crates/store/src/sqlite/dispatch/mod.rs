//! The way of a task through a worker.

mod claim;
mod complete;
mod exchange;
mod follow_up;
pub(super) mod lease;
pub(super) mod lose;
mod report_end;

use async_trait::async_trait;
use mitosis_domain::ids::{TaskId, WorkerId};
use mitosis_domain::lease::Moment;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::Timestamp;

use super::SqliteStore;
use super::tasks::insert::NewRow;
use crate::StoreError;
use crate::ops::dispatch::{
    Assignment, Claim, Completed, Completion, Dispatch, EndReport, Exchange, ExchangeOutcome, FollowUp,
    Holder, Work,
};
use crate::ops::tasks::NewTask;

#[async_trait]
impl Dispatch for SqliteStore {
    async fn exchange(&self, batch: &[Exchange], at: Moment) -> Result<ExchangeOutcome, StoreError> {
        let (batch, turns) = (batch.to_vec(), self.turns.clone());
        self.write(move |db| exchange::exchange(db, &turns, &batch, at)).await
    }

    async fn claim_or_resume(&self, worker: WorkerId, token: i64, at: Moment) -> Result<Claim, StoreError> {
        let turns = self.turns.clone();
        self.write(move |db| claim::claim_or_resume(db, &turns, worker, token, at)).await
    }

    async fn work_in_hand(&self, worker: WorkerId, tasks: &[TaskId]) -> Result<Vec<Work>, StoreError> {
        let tasks = tasks.to_vec();
        self.read(move |db| claim::work_in_hand(db, worker, &tasks)).await
    }

    async fn report_end(
        &self,
        holder: Holder,
        end: ExecEnd,
        now: Timestamp,
    ) -> Result<EndReport, StoreError> {
        self.write(move |db| report_end::report_end(db, holder, end, now)).await
    }

    async fn held(&self, holder: Holder) -> Result<Option<Assignment>, StoreError> {
        self.read(move |db| lease::held(db, holder)).await
    }

    async fn submit_follow_up(
        &self,
        holder: Holder,
        task: &NewTask,
        now: Timestamp,
    ) -> Result<FollowUp, StoreError> {
        let row = NewRow::new(task)?;
        self.write(move |db| follow_up::submit(db, holder, &row, now)).await
    }

    async fn complete(
        &self,
        completions: &[Completion],
        now: Timestamp,
    ) -> Result<Vec<Completed>, StoreError> {
        let completions = completions.to_vec();
        self.write(move |db| {
            completions.iter().map(|completion| complete::complete(db, completion, now)).collect()
        })
        .await
    }
}
