//! The execution of a task by a worker: claim, report, follow-up, completion.

pub(crate) mod agent_room;
pub(crate) mod assignment;
pub(crate) mod follow_up;
pub(crate) mod lease;
pub(crate) mod ready;
mod report_end;
pub(crate) mod requeue;
pub(crate) mod reservations;
pub(crate) mod room;
pub(crate) mod rounds;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, TaskId, UserId, WorkerId};
use mitosis_domain::lease::Moment;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::{LeaseToken, Timestamp};

use super::tasks::insert::NewRow;
use crate::backend::Backend;
use crate::db::{Db, Row, Sql, sql};
use crate::fairness::{HeldSlots, SharedFairShare};
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
        let held = self.read((), |db, ()| Box::pin(held_slots(db))).await?;
        let weights = self.read((), |db, ()| Box::pin(weights(db))).await?;
        self.fair_share().correct(&held, weights, now);
        Ok(())
    }

    async fn reserve_workers(&self, now: Timestamp) -> Result<Changed<usize>, StoreError> {
        if !self.read((), |db, ()| Box::pin(reservations::may_be_due(db))).await? {
            return Ok(Changed::nothing(0));
        }
        self.write(now, |db, now| Box::pin(reservations::reserve(db, *now))).await
    }
}

const LEASES: Sql = sql!(
    "
    SELECT l.worker_id, t.group_id, t.creator_id, CAST(coalesce(w.slots, 1) AS BIGINT) AS slots, count(*) AS leases
    FROM lease l INNER JOIN task t ON t.id = l.task_id INNER JOIN worker w ON w.id = l.worker_id
    GROUP BY l.worker_id, t.group_id, t.creator_id, coalesce(w.slots, 1)"
);

/// The leases of a member of a group at a worker.
struct Leases {
    worker: i64,
    holder: (GroupId, UserId),
    slots: u64,
    count: u64,
}

/// The number of slots that each member of each group holds.
async fn held_slots(db: Db<'_>) -> Result<HeldSlots, StoreError> {
    let count = |row: &Row<'_>, column| Ok::<_, StoreError>(row.value::<i64>(column)?.unsigned_abs());
    let leases: Vec<Leases> = db
        .all(LEASES, &[], |row| {
            Ok(Leases {
                worker: row.value("worker_id")?,
                holder: (GroupId(row.value("group_id")?), UserId(row.value("creator_id")?)),
                slots: count(row, "slots")?,
                count: count(row, "leases")?,
            })
        })
        .await?;
    Ok(slots_of(&leases))
}

const WEIGHTS: Sql = sql!("SELECT id, weight FROM groups WHERE weight <> 1");

/// The weights of groups other than 1.
async fn weights(db: Db<'_>) -> Result<HashMap<GroupId, u32>, StoreError> {
    db.all(WEIGHTS, &[], |row| {
        let weight: i32 = row.value("weight")?;
        Ok((GroupId(row.value("id")?), weight.unsigned_abs()))
    })
    .await
}

/// A worker holds more leases than slots if it has fetched tasks in advance. Then their holders share its slots.
fn slots_of(leases: &[Leases]) -> HeldSlots {
    let mut of_workers: HashMap<i64, u64> = HashMap::new();
    for Leases { worker, count, .. } in leases {
        *of_workers.entry(*worker).or_default() += count;
    }
    let mut held = HeldSlots::new();
    for Leases { worker, holder, slots, count } in leases {
        let all = of_workers[worker].max(1);
        *held.entry(*holder).or_default() += (count * (*slots).min(all)).div_ceil(all);
    }
    held
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_fetched_in_advance_hold_no_slots() {
        let holder = |group| (GroupId(group), UserId(1));
        let leases = |worker, group, slots, count| Leases { worker, holder: holder(group), slots, count };
        let all = [leases(1, 7, 4, 2), leases(2, 7, 4, 6), leases(2, 8, 4, 2), leases(3, 8, 1, 9)];
        assert_eq!(slots_of(&all), HashMap::from([(holder(7), 2 + 3), (holder(8), 1 + 1)]));
        assert!(slots_of(&[]).is_empty());
    }
}
