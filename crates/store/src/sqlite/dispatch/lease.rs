//! Who holds a task.

use mitosis_domain::ids::{TaskId, WorkerId};
use mitosis_domain::task::{ExecEnd, LeaseKey};
use mitosis_protocol::Timestamp;
use rusqlite::{Connection, Row, params};

use super::super::row::{Columns, Run};
use super::super::tasks::get;
use crate::StoreError;
use crate::ops::dispatch::{Assignment, Holder};

/// A worker's hold on a task.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Lease {
    pub(in super::super) key: LeaseKey,
    pub(in super::super) worker: WorkerId,
    pub(in super::super) losses: i64,
    pub(in super::super) claimed_at: Timestamp,
    pub(in super::super) reported_end: Option<ExecEnd>,
}

const LEASE_OF_WORKER: &str = "
    SELECT task_id, worker_id, epoch, token, losses, claimed_at, reported_end
    FROM lease WHERE task_id = ?1 AND worker_id = ?2";

const LEASE_OF_ATTEMPT: &str = "
    SELECT task_id, worker_id, epoch, token, losses, claimed_at, reported_end
    FROM lease WHERE task_id = ?1 AND epoch = ?2 AND token = ?3";

/// The lease behind a claim to hold a task; none when the task is not held, or not by this one.
pub(in super::super) fn find(db: &Connection, holder: Holder) -> Result<Option<Lease>, StoreError> {
    match holder {
        Holder::Worker(worker, task) => db.optional(LEASE_OF_WORKER, [task.0, worker.0], read),
        Holder::Lease(key) => db.optional(LEASE_OF_ATTEMPT, [key.task.0, key.epoch, key.token], read),
    }
}

pub(in super::super) fn read(row: &Row<'_>) -> Result<Lease, StoreError> {
    Ok(Lease {
        key: LeaseKey {
            task: TaskId(row.value("task_id")?),
            epoch: row.value("epoch")?,
            token: row.value("token")?,
        },
        worker: WorkerId(row.value("worker_id")?),
        losses: row.value("losses")?,
        claimed_at: row.time("claimed_at")?,
        reported_end: row.optional_code("reported_end")?,
    })
}

/// The task that is held.
pub(super) fn held(db: &Connection, holder: Holder) -> Result<Option<Assignment>, StoreError> {
    let Some(lease) = find(db, holder)? else { return Ok(None) };
    Ok(Some(Assignment { task: get::by_id(db, lease.key.task)?, lease: lease.key }))
}

const TOUCH_LEASE: &str = "UPDATE lease SET updated_at = ?2 WHERE task_id = ?1";

/// Notes that something about the attempt was reported.
pub(in super::super) fn touch(db: &Connection, task: TaskId, now: Timestamp) -> Result<(), StoreError> {
    db.run_one(TOUCH_LEASE, params![task.0, now.unix_micros()])
}

const DELETE_LEASE: &str = "DELETE FROM lease WHERE task_id = ?1 RETURNING stop_asked";

/// Ends the attempt; answers whether a user had asked for its stop. What becomes of the task is up to the
/// caller.
pub(in super::super) fn end(db: &Connection, task: TaskId) -> Result<bool, StoreError> {
    db.one(DELETE_LEASE, [task.0], |row| Ok(row.get(0)?))
}
