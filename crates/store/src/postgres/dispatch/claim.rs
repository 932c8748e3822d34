//! Assignment of tasks to workers.

use std::collections::HashMap;

use mitosis_domain::failpoints;
use mitosis_domain::ids::{TaskId, WorkerId};
use mitosis_domain::lease::Moment;
use mitosis_domain::limits;
use mitosis_domain::task::LeaseKey;
use mitosis_protocol::LeaseToken;
use mitosis_protocol::worker::WorkerState;

use super::participants;
use crate::StoreError;
use crate::fairness::SharedFairShare;
use crate::ops::dispatch::{Assignment, Claim, Work};
use crate::ops::jobs::CountChange;
use crate::ops::{Changed, Effects};
use crate::postgres::session::{Params, Session};
use crate::shared::dispatch::ready::{Queues, Ready};
use crate::shared::dispatch::{assignment, lease};
use crate::shared::jobs::counts::CountChanges;
use crate::shared::tasks::get;
use crate::shared::workers;

/// The task that a worker holds, the oldest if there are several.
const RUNNING_OF_WORKER: &str = "
    SELECT task_id, worker_id, epoch, token, losses, claimed_at, reported_end
    FROM lease WHERE worker_id = $1 AND reported_end IS NULL
    ORDER BY claimed_at, task_id LIMIT 1";

/// Returns the task that the worker holds, or assigns another one.
pub(crate) async fn claim_or_resume(
    db: Session<'_>,
    shares: &SharedFairShare,
    worker: WorkerId,
    token: LeaseToken,
    at: Moment,
) -> Result<Changed<Claim>, StoreError> {
    let mut participants = participants::lock(db, &[worker]).await?;
    let Some(participant) = participants.remove(&worker) else {
        return Ok(Changed::nothing(Claim::WorkerGone));
    };
    if let Some(held) = db.optional(RUNNING_OF_WORKER, &[&worker.0], lease::read).await? {
        // It was given before.
        return with_task(db, held.key).await.map(Changed::nothing);
    }
    if participant.worker.state == WorkerState::GracefulShutdown {
        return Ok(Changed::nothing(Claim::Stopping));
    }
    let mut queues = Queues::read(db.into(), &[&participant.eligibility]).await?;
    let first = queues.first(db.into(), shares, at.now).await?;
    let taken = assign(db, &first, &[(worker, token)], at).await?;
    let Some((_, work)) = taken.into_iter().next() else {
        return Ok(Changed::nothing(Claim::NoTask));
    };
    // Both statements are sent before either reply has arrived.
    let ((), claim) = tokio::try_join!(workers::touch(db.into(), worker, at.now), with_task(db, work.lease))?;
    let mut counts = CountChanges::default();
    counts.add(work.job, CountChange::CLAIMED);
    let mut effects = counts.write(db.into()).await?;
    effects.add(Effects::moved());
    Ok(effects.with(claim))
}

async fn with_task(db: Session<'_>, lease: LeaseKey) -> Result<Claim, StoreError> {
    let task = get::by_id(db.into(), lease.task).await?;
    Ok(Claim::Assigned(Box::new(Assignment { task, lease })))
}

/// An attempt is reaped at `overdue_at`, in lease time, unless its end has been reported (HTTP contract §12.4).
const ASSIGN: &str = "
    WITH taken AS (
        DELETE FROM ready
        USING unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $8::bigint[])
            AS first (lane_id, neg_priority, task_id, worker_id, token, limit_set_id)
        WHERE ready.lane_id = first.lane_id AND ready.held = FALSE AND ready.neg_priority = first.neg_priority
          AND ready.task_id = first.task_id
        RETURNING ready.task_id, ready.epoch, ready.losses, first.worker_id, first.token, first.limit_set_id),
    work AS (
        SELECT taken.*, task.uuid, task.group_id, task.priority, task.timeout_seconds, task.upstream_uuid,
               task.job_id, task.spec, task.lost_after
        FROM taken JOIN task ON task.id = taken.task_id),
    leased AS (
        INSERT INTO lease (task_id, worker_id, epoch, token, losses, claimed_at, overdue_at, updated_at,
                           lost_after, limit_set_id)
        SELECT task_id, worker_id, epoch + 1, token, losses, $6,
               $7::bigint + timeout_seconds * 1000000, $6, lost_after, limit_set_id
        FROM work)
    SELECT task_id, worker_id, epoch + 1 AS epoch, token, uuid, group_id, priority, timeout_seconds,
           upstream_uuid, job_id, spec
    FROM work";

/// Leases each task to the given worker with the given token; returns the leased tasks in order.
pub(super) async fn assign(
    db: Session<'_>,
    first: &[Ready],
    to: &[(WorkerId, LeaseToken)],
    at: Moment,
) -> Result<Vec<(WorkerId, Work)>, StoreError> {
    if first.is_empty() {
        return Ok(Vec::new());
    }
    let lanes: Vec<i64> = first.iter().map(|ready| ready.demand.lane.0).collect();
    let places: Vec<i32> = first.iter().map(|ready| ready.neg_priority).collect();
    let tasks: Vec<i64> = first.iter().map(|ready| ready.task.0).collect();
    let (workers, tokens): (Vec<i64>, Vec<i64>) =
        to.iter().map(|(worker, token)| (worker.0, token.0)).unzip();
    let limits: Vec<Option<i64>> = first.iter().map(|ready| ready.demand.limits.map(|set| set.0)).collect();
    let overdue_at = at.lease + limits::PREPARATION_ALLOWANCE + limits::OVERDUE_GRACE;
    let params: Params<'_> =
        &[&lanes, &places, &tasks, &workers, &tokens, &at.now.unix_micros(), &overdue_at.micros(), &limits];
    failpoints::point("claim.lease:before");
    let mut leased: HashMap<TaskId, (WorkerId, Work)> = db
        .all(ASSIGN, params, |row| {
            let work = assignment::read(row)?;
            Ok((work.lease.task, (WorkerId(row.value("worker_id")?), work)))
        })
        .await?;
    failpoints::point("claim.lease:after");
    Ok(first.iter().filter_map(|ready| leased.remove(&ready.task)).collect())
}
