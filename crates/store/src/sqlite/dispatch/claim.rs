//! Handing tasks to a worker: larger priority first, then older, over all lanes it may serve.

use std::time::Duration;

use mitosis_domain::ids::{LaneId, TaskId, WorkerId};
use mitosis_domain::limits;
use mitosis_domain::task::LeaseKey;
use mitosis_protocol::worker::WorkerState;
use mitosis_protocol::{Role, Timestamp};
use rusqlite::{Connection, params};

use super::super::row::{Columns, Run, row_count};
use super::super::tasks::get;
use super::super::workers;
use super::lease;
use crate::Fault;
use crate::code::Code;
use crate::ops::dispatch::{Assignment, Claim};

const WORKER_STATE: &str = "SELECT state FROM worker WHERE id = ?1";

fn worker_state(db: &Connection, worker: WorkerId) -> Result<Option<WorkerState>, Fault> {
    db.optional(WORKER_STATE, [worker.0], |row| row.code("state"))
}

/// Leases one task for each token, or as many as there are.
pub(super) fn claim(
    db: &Connection,
    worker: WorkerId,
    tokens: &[i64],
    now: Timestamp,
) -> Result<Claim, Fault> {
    match worker_state(db, worker)? {
        None => return Ok(Claim::WorkerGone),
        Some(WorkerState::GracefulShutdown) => return Ok(Claim::Stopping),
        Some(WorkerState::Normal) => {}
    }
    let first = first_in_line(db, worker, tokens.len())?;
    if first.is_empty() {
        return Ok(Claim::Assigned(Vec::new()));
    }
    let assigned = first
        .into_iter()
        .zip(tokens)
        .map(|(waiting, token)| assign(db, worker, waiting, *token, now))
        .collect::<Result<_, _>>()?;
    workers::touch(db, worker, now)?;
    Ok(Claim::Assigned(assigned))
}

/// The oldest, should there be several.
const RUNNING_OF_WORKER: &str = "
    SELECT task_id, worker_id, epoch, token, losses, claimed_at, reported_end
    FROM lease WHERE worker_id = ?1 AND reported_end IS NULL
    ORDER BY claimed_at, task_id LIMIT 1";

/// Gives the worker the task it has, or else another.
pub(super) fn claim_or_resume(
    db: &Connection,
    worker: WorkerId,
    token: i64,
    now: Timestamp,
) -> Result<Claim, Fault> {
    match db.optional(RUNNING_OF_WORKER, [worker.0], lease::read)? {
        Some(held) => {
            let task = get::by_id(db, held.key.task)?;
            Ok(Claim::Assigned(vec![Assignment { task, lease: held.key }]))
        }
        None => claim(db, worker, &[token], now),
    }
}

/// A task in line. The order of the fields is the order of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    neg_priority: i32,
    task: TaskId,
    lane: LaneId,
    epoch: i64,
    losses: i64,
}

/// Lanes in which something waits that the worker may run.
const LANES_OF_WORKER: &str = "
    SELECT lane.id
    FROM worker
    CROSS JOIN worker_group ON worker_group.worker_id = worker.id AND worker_group.role >= ?2
    CROSS JOIN lane ON lane.group_id = worker_group.group_id
    CROSS JOIN tag_set ON tag_set.id = lane.tag_set_id
    WHERE worker.id = ?1
      AND EXISTS (SELECT 1 FROM ready WHERE ready.lane_id = lane.id)
      -- no tag that the worker lacks
      AND (tag_set.tags = worker.tags OR NOT EXISTS (
          SELECT value FROM json_each(tag_set.tags) EXCEPT SELECT value FROM json_each(worker.tags)))";

/// The first of one lane, straight from the key.
const FIRST_OF_LANE: &str = "
    SELECT neg_priority, task_id, epoch, losses
    FROM ready
    WHERE lane_id = ?1 AND (neg_priority, task_id) < (?2, ?3)
    ORDER BY neg_priority, task_id
    LIMIT ?4";

/// The first `count` of all lanes. Once that many are known, a further lane is asked only for what
/// goes before the last of them.
fn first_in_line(db: &Connection, worker: WorkerId, count: usize) -> Result<Vec<Waiting>, Fault> {
    let lanes: Vec<LaneId> =
        db.all(LANES_OF_WORKER, params![worker.0, Role::Write.code()], |row| Ok(LaneId(row.get(0)?)))?;
    let mut first: Vec<Waiting> = Vec::new();
    for lane in lanes {
        let last = count.checked_sub(1).and_then(|last| first.get(last));
        let bound = last.map_or((i64::MAX, i64::MAX), |last| (last.neg_priority.into(), last.task.0));
        let of_lane: Vec<Waiting> =
            db.all(FIRST_OF_LANE, params![lane.0, bound.0, bound.1, row_count(count)], |row| {
                Ok(Waiting {
                    neg_priority: row.get(0)?,
                    task: TaskId(row.get(1)?),
                    lane,
                    epoch: row.get(2)?,
                    losses: row.get(3)?,
                })
            })?;
        first.extend(of_lane);
        first.sort_unstable();
        first.truncate(count);
    }
    Ok(first)
}

const LEAVE_LINE: &str = "DELETE FROM ready WHERE lane_id = ?1 AND neg_priority = ?2 AND task_id = ?3";

const INSERT_LEASE: &str = "
    INSERT INTO lease (task_id, worker_id, epoch, token, losses, claimed_at, overdue_at, updated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?6)";

const TIMEOUT_OF_TASK: &str = "SELECT timeout_seconds FROM task WHERE id = ?1";

fn assign(
    db: &Connection,
    worker: WorkerId,
    waiting: Waiting,
    token: i64,
    now: Timestamp,
) -> Result<Assignment, Fault> {
    let Waiting { neg_priority, task, lane, epoch, losses } = waiting;
    db.run_one(LEAVE_LINE, params![lane.0, neg_priority, task.0])?;
    let timeout = db.one(TIMEOUT_OF_TASK, [task.0], |row| Ok(row.get(0)?))?;
    let lease = LeaseKey { task, epoch: epoch + 1, token };
    db.run_one(
        INSERT_LEASE,
        params![
            task.0,
            worker.0,
            lease.epoch,
            token,
            losses,
            now.unix_micros(),
            overdue_at(now, timeout).unix_micros()
        ],
    )?;
    Ok(Assignment { task: get::by_id(db, task)?, lease })
}

/// When a task that has not been reported by then is taken back (HTTP contract §12.4).
fn overdue_at(claimed_at: Timestamp, timeout_seconds: i64) -> Timestamp {
    let timeout = Duration::from_secs(u64::try_from(timeout_seconds).unwrap_or(0));
    claimed_at + timeout + limits::PREPARATION_ALLOWANCE + limits::OVERDUE_GRACE
}
