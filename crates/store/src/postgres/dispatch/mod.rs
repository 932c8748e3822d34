//! The way of a task through a worker.

mod claim;
mod complete;
mod exchange;
mod follow_up;
pub(super) mod lease;
pub(super) mod lose;
mod party;
mod report_end;

use async_trait::async_trait;
use mitosis_domain::ids::{TaskId, WorkerId};
use mitosis_domain::lease::Moment;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::Timestamp;

use super::{PostgresStore, write};
use crate::StoreError;
use crate::ops::dispatch::{
    Assignment, Claim, Completed, Completion, Dispatch, EndReport, Exchange, ExchangeOutcome, FollowUp,
    Holder, Work,
};
use crate::ops::tasks::NewTask;

#[async_trait]
impl Dispatch for PostgresStore {
    async fn exchange(&self, batch: &[Exchange], at: Moment) -> Result<ExchangeOutcome, StoreError> {
        write!(self, tx => exchange::exchange(tx, &self.turns, batch, at))
    }

    async fn claim_or_resume(&self, worker: WorkerId, token: i64, at: Moment) -> Result<Claim, StoreError> {
        write!(self, tx => claim::claim_or_resume(tx, &self.turns, worker, token, at))
    }

    async fn work_in_hand(&self, worker: WorkerId, tasks: &[TaskId]) -> Result<Vec<Work>, StoreError> {
        claim::work_in_hand(&self.client().await?, worker, tasks).await
    }

    async fn report_end(
        &self,
        holder: Holder,
        end: ExecEnd,
        now: Timestamp,
    ) -> Result<EndReport, StoreError> {
        write!(self, tx => report_end::report_end(tx, holder, end, now))
    }

    async fn held(&self, holder: Holder) -> Result<Option<Assignment>, StoreError> {
        write!(self, tx => lease::held(tx, holder))
    }

    async fn submit_follow_up(
        &self,
        holder: Holder,
        task: &NewTask,
        now: Timestamp,
    ) -> Result<FollowUp, StoreError> {
        write!(self, tx => follow_up::submit(tx, holder, task, now))
    }

    async fn complete(
        &self,
        completions: &[Completion],
        now: Timestamp,
    ) -> Result<Vec<Completed>, StoreError> {
        write!(self, tx => complete::complete(tx, completions, now))
    }
}
