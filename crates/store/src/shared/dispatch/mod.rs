//! The execution of a task by a worker: claim, report, follow-up, completion.

pub(crate) mod assignment;
pub(crate) mod follow_up;
pub(crate) mod lease;
pub(crate) mod ready;
mod report_end;
pub(crate) mod requeue;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, TaskId, WorkerId};
use mitosis_domain::lease::Moment;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::{LeaseToken, Timestamp};

use super::tasks::insert::NewRow;
use crate::backend::Backend;
use crate::db::{Db, Sql, sql};
use crate::fairness::SharedFairShare;
use crate::ops::Changed;
use crate::ops::dispatch::{
    Assignment, Claim, Completed, Completion, Dispatch, EndReport, Exchange, Exchanged, FollowUp, Holder,
    Work,
};
use crate::ops::tasks::NewTask;
use crate::{StoreError, postgres, sqlite};

#[async_trait]
impl<B: Backend> Dispatch for B {
    async fn exchange(
        &self,
        batch: &[Arc<Exchange>],
        at: Moment,
    ) -> Result<Changed<Vec<Exchanged>>, StoreError> {
        self.write((self.fair_share(), batch.to_vec(), at), |db, (shares, batch, at)| {
            Box::pin(exchange(db, shares, batch, *at))
        })
        .await
    }

    async fn claim_or_resume(
        &self,
        worker: WorkerId,
        token: LeaseToken,
        at: Moment,
    ) -> Result<Changed<Claim>, StoreError> {
        self.write((self.fair_share(), worker, token, at), |db, (shares, worker, token, at)| {
            Box::pin(claim_or_resume(db, shares, *worker, *token, *at))
        })
        .await
    }

    async fn held_work(&self, worker: WorkerId, tasks: &[TaskId]) -> Result<Vec<Work>, StoreError> {
        self.read((worker, tasks.to_vec()), |db, (worker, tasks)| {
            Box::pin(assignment::held(db, *worker, tasks))
        })
        .await
    }

    async fn report_end(
        &self,
        holder: Holder,
        end: ExecEnd,
        now: Timestamp,
    ) -> Result<Changed<EndReport>, StoreError> {
        self.write((holder, end, now), |db, (holder, end, now)| {
            Box::pin(report_end::report_end(db, *holder, *end, *now))
        })
        .await
    }

    async fn held(&self, holder: Holder) -> Result<Option<Assignment>, StoreError> {
        self.read_locked(holder, |db, holder| Box::pin(lease::held(db, *holder))).await
    }

    async fn submit_follow_up(
        &self,
        holder: Holder,
        task: &NewTask,
        now: Timestamp,
    ) -> Result<Changed<FollowUp>, StoreError> {
        self.write((holder, NewRow::new(task)?, now), |db, (holder, row, now)| {
            Box::pin(follow_up::submit(db, *holder, row, *now))
        })
        .await
    }

    async fn complete(
        &self,
        completions: &[Completion],
        now: Timestamp,
    ) -> Result<Changed<Vec<Completed>>, StoreError> {
        self.write((completions.to_vec(), now), |db, (completions, now)| {
            Box::pin(complete(db, completions, *now))
        })
        .await
    }

    async fn correct_shares(&self, now: Timestamp) -> Result<(), StoreError> {
        let running = self.read((), |db, ()| Box::pin(running_by_group(db))).await?;
        self.fair_share().set_running(&running, now);
        Ok(())
    }
}

const RUNNING_BY_GROUP: Sql = sql!(
    "
    SELECT t.group_id, count(*) AS running FROM lease l INNER JOIN task t ON t.id = l.task_id GROUP BY t.group_id"
);

async fn running_by_group(db: Db<'_>) -> Result<HashMap<GroupId, u64>, StoreError> {
    db.all(RUNNING_BY_GROUP, &[], |row| {
        Ok((GroupId(row.value("group_id")?), row.value::<i64>("running")?.unsigned_abs()))
    })
    .await
}

// Assignment and completion differ most between the databases, and their speed matters.

async fn exchange(
    db: Db<'_>,
    shares: &SharedFairShare,
    batch: &[Arc<Exchange>],
    at: Moment,
) -> Result<Changed<Vec<Exchanged>>, StoreError> {
    match db {
        Db::Postgres(db) => postgres::dispatch::exchange(db, shares, batch, at).await,
        Db::Sqlite(db) => sqlite::dispatch::exchange(db, shares, batch, at),
    }
}

async fn claim_or_resume(
    db: Db<'_>,
    shares: &SharedFairShare,
    worker: WorkerId,
    token: LeaseToken,
    at: Moment,
) -> Result<Changed<Claim>, StoreError> {
    match db {
        Db::Postgres(db) => postgres::dispatch::claim_or_resume(db, shares, worker, token, at).await,
        Db::Sqlite(db) => sqlite::dispatch::claim_or_resume(db, shares, worker, token, at),
    }
}

async fn complete(
    db: Db<'_>,
    completions: &[Completion],
    now: Timestamp,
) -> Result<Changed<Vec<Completed>>, StoreError> {
    match db {
        Db::Postgres(db) => postgres::dispatch::complete(db, completions, now).await,
        Db::Sqlite(db) => sqlite::dispatch::complete(db, completions, now),
    }
}
