//! Handing tasks to a worker: larger priority first, then older, over all lanes it may serve.

use std::collections::HashMap;

use mitosis_domain::ids::{LaneId, TaskId, WorkerId};
use mitosis_domain::limits;
use mitosis_domain::task::LeaseKey;
use mitosis_protocol::worker::WorkerState;
use mitosis_protocol::{Role, Timestamp};
use tokio_postgres::Row;

use super::super::row::{self, Columns, Db, row_count};
use super::super::tasks::get;
use super::super::workers::{self, Locked};
use super::lease;
use crate::Fault;
use crate::code::Code;
use crate::ops::dispatch::{Assignment, Claim};

/// Leases one task for each token, or as many as there are.
pub(super) async fn claim(
    tx: &impl Db,
    worker: WorkerId,
    tokens: &[i64],
    now: Timestamp,
) -> Result<Claim, Fault> {
    match workers::lock(tx, worker).await? {
        None => Ok(Claim::WorkerGone),
        Some(locked) => claim_locked(tx, &locked, tokens, now).await,
    }
}

async fn claim_locked(tx: &impl Db, worker: &Locked, tokens: &[i64], now: Timestamp) -> Result<Claim, Fault> {
    if worker.state == WorkerState::GracefulShutdown {
        return Ok(Claim::Stopping);
    }
    let lanes = lanes_of(tx, worker.id).await?;
    let leases = match *tokens {
        [token] => assign_first(tx, worker.id, &lanes, token, now).await?,
        _ => {
            let first = first_in_line(tx, &lanes, tokens.len()).await?;
            assign(tx, worker.id, &first, tokens, now).await?
        }
    };
    if leases.is_empty() {
        return Ok(Claim::Assigned(Vec::new()));
    }
    // Both are on their way before either is answered.
    let ((), claim) = tokio::try_join!(workers::touch(tx, worker.id, now), with_tasks(tx, leases))?;
    Ok(claim)
}

/// The oldest, should there be several.
const RUNNING_OF_WORKER: &str = "
    SELECT task_id, worker_id, epoch, token, losses, reported_end
    FROM lease WHERE worker_id = $1 AND reported_end IS NULL
    ORDER BY claimed_at, task_id LIMIT 1";

/// Gives the worker the task it has, or else another.
pub(super) async fn claim_or_resume(
    tx: &impl Db,
    worker: WorkerId,
    token: i64,
    now: Timestamp,
) -> Result<Claim, Fault> {
    match workers::lock(tx, worker).await? {
        None => Ok(Claim::WorkerGone),
        Some(locked) => claim_or_resume_locked(tx, &locked, token, now).await,
    }
}

/// The same for a worker that is locked.
pub(super) async fn claim_or_resume_locked(
    tx: &impl Db,
    worker: &Locked,
    token: i64,
    now: Timestamp,
) -> Result<Claim, Fault> {
    match row::optional(tx, RUNNING_OF_WORKER, &[&worker.id.0], lease::read).await? {
        Some(held) => with_tasks(tx, vec![held.key]).await,
        None => claim_locked(tx, worker, &[token], now).await,
    }
}

/// A task in line. The order of the fields is the order of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    neg_priority: i32,
    task: TaskId,
    lane: LaneId,
}

/// Lanes in which something waits that the worker may run, the one to be served first in front.
const LANES_OF_WORKER: &str = "
    SELECT lane.id
    FROM worker
    JOIN worker_group ON worker_group.worker_id = worker.id AND worker_group.role >= $2
    JOIN lane ON lane.group_id = worker_group.group_id
    JOIN tag_set ON tag_set.id = lane.tag_set_id
    CROSS JOIN LATERAL (
        SELECT neg_priority, task_id FROM ready WHERE ready.lane_id = lane.id
        ORDER BY neg_priority, task_id LIMIT 1) head
    WHERE worker.id = $1
      -- no tag that the worker lacks
      AND tag_set.tags <@ worker.tags
    ORDER BY head.neg_priority, head.task_id";

/// The first of one lane, straight from the key. What another one takes right now is passed over.
const FIRST_OF_LANE: &str = "
    SELECT neg_priority, task_id
    FROM ready
    WHERE lane_id = $1 AND (neg_priority, task_id) < ($2, $3)
    ORDER BY neg_priority, task_id
    LIMIT $4
    FOR UPDATE SKIP LOCKED";

async fn lanes_of(tx: &impl Db, worker: WorkerId) -> Result<Vec<LaneId>, Fault> {
    let params: row::Params<'_> = &[&worker.0, &Role::Write.code()];
    row::all(tx, LANES_OF_WORKER, params, |row| Ok(LaneId(row.try_get(0)?))).await
}

/// Locks the first `count` of all lanes. Once that many are known, a further lane is asked only for
/// what goes before the last of them; with the lanes in order, that is rarely anything.
async fn first_in_line(tx: &impl Db, lanes: &[LaneId], count: usize) -> Result<Vec<Waiting>, Fault> {
    let mut first: Vec<Waiting> = Vec::new();
    for lane in lanes.iter().copied() {
        let last = count.checked_sub(1).and_then(|last| first.get(last));
        let bound = last.map_or((i32::MAX, i64::MAX), |last| (last.neg_priority, last.task.0));
        let params: row::Params<'_> = &[&lane.0, &bound.0, &bound.1, &row_count(count)];
        let of_lane: Vec<Waiting> = row::all(tx, FIRST_OF_LANE, params, |row| {
            Ok(Waiting { neg_priority: row.try_get(0)?, task: TaskId(row.try_get(1)?), lane })
        })
        .await?;
        first.extend(of_lane);
        first.sort_unstable();
        first.truncate(count);
    }
    Ok(first)
}

/// A task that has not been reported by `overdue_at` is taken back (HTTP contract §12.4).
const ASSIGN: &str = "
    WITH taken AS (
        DELETE FROM ready
        USING unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[])
            AS first (lane_id, neg_priority, task_id, token)
        WHERE ready.lane_id = first.lane_id AND ready.neg_priority = first.neg_priority
          AND ready.task_id = first.task_id
        RETURNING ready.task_id, ready.epoch, ready.losses, first.token)
    INSERT INTO lease (task_id, worker_id, epoch, token, losses, claimed_at, overdue_at, updated_at)
    SELECT taken.task_id, $5, taken.epoch + 1, taken.token, taken.losses, $6,
           $6 + task.timeout_seconds * 1000000 + $7, $6
    FROM taken JOIN task ON task.id = taken.task_id
    RETURNING task_id, epoch, token";

/// Microseconds.
fn allowance() -> i64 {
    let allowance = limits::PREPARATION_ALLOWANCE + limits::OVERDUE_GRACE;
    i64::try_from(allowance.as_micros()).expect("some minutes")
}

/// The same for the first of one lane, in one step.
const ASSIGN_FIRST: &str = "
    WITH taken AS (
        DELETE FROM ready WHERE (lane_id, neg_priority, task_id) = (
            SELECT lane_id, neg_priority, task_id FROM ready WHERE lane_id = $1
            ORDER BY neg_priority, task_id LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING task_id, epoch, losses)
    INSERT INTO lease (task_id, worker_id, epoch, token, losses, claimed_at, overdue_at, updated_at)
    SELECT taken.task_id, $2, taken.epoch + 1, $3, taken.losses, $4,
           $4 + task.timeout_seconds * 1000000 + $5, $4
    FROM taken JOIN task ON task.id = taken.task_id
    RETURNING task_id, epoch, token";

/// Assigns the first task of the first lane that has one to give.
async fn assign_first(
    tx: &impl Db,
    worker: WorkerId,
    lanes: &[LaneId],
    token: i64,
    now: Timestamp,
) -> Result<Vec<LeaseKey>, Fault> {
    for lane in lanes {
        let params: row::Params<'_> = &[&lane.0, &worker.0, &token, &now.unix_micros(), &allowance()];
        if let Some(key) = row::optional(tx, ASSIGN_FIRST, params, read_key).await? {
            return Ok(vec![key]);
        }
    }
    Ok(Vec::new())
}

fn read_key(row: &Row) -> Result<LeaseKey, Fault> {
    Ok(LeaseKey {
        task: TaskId(row.value("task_id")?),
        epoch: row.value("epoch")?,
        token: row.value("token")?,
    })
}

async fn assign(
    tx: &impl Db,
    worker: WorkerId,
    first: &[Waiting],
    tokens: &[i64],
    now: Timestamp,
) -> Result<Vec<LeaseKey>, Fault> {
    if first.is_empty() {
        return Ok(Vec::new());
    }
    let lanes: Vec<i64> = first.iter().map(|waiting| waiting.lane.0).collect();
    let places: Vec<i32> = first.iter().map(|waiting| waiting.neg_priority).collect();
    let tasks: Vec<i64> = first.iter().map(|waiting| waiting.task.0).collect();
    let tokens = &tokens[..first.len()];
    let params: row::Params<'_> =
        &[&lanes, &places, &tasks, &tokens, &worker.0, &now.unix_micros(), &allowance()];
    let mut leases: HashMap<TaskId, LeaseKey> = row::all(tx, ASSIGN, params, |row| {
        let key = read_key(row)?;
        Ok((key.task, key))
    })
    .await?;
    Ok(first.iter().filter_map(|waiting| leases.remove(&waiting.task)).collect())
}

async fn with_tasks(tx: &impl Db, leases: Vec<LeaseKey>) -> Result<Claim, Fault> {
    let ids: Vec<i64> = leases.iter().map(|lease| lease.task.0).collect();
    let mut tasks: HashMap<TaskId, _> =
        get::by_ids(tx, &ids).await?.into_iter().map(|task| (task.id, task)).collect();
    let assigned = leases
        .into_iter()
        .filter_map(|lease| tasks.remove(&lease.task).map(|task| Assignment { task, lease }))
        .collect();
    Ok(Claim::Assigned(assigned))
}
