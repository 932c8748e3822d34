//! Leases, which say who holds a task.

use mitosis_domain::ids::{TaskId, WorkerId};
use mitosis_domain::task::{ExecEnd, LeaseKey};
use mitosis_protocol::{Epoch, LeaseToken, Timestamp};

use super::super::tasks::get;
use super::super::workers;
use crate::StoreError;
use crate::db::{Db, Params, Row, Sql, sql};
use crate::ops::dispatch::{Assignment, Holder};

/// The lease of a worker on a task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    pub(crate) key: LeaseKey,
    pub(crate) worker: WorkerId,
    pub(crate) losses: i64,
    pub(crate) claimed_at: Timestamp,
    pub(crate) reported_end: Option<ExecEnd>,
}

const LEASE_OF_WORKER: Sql = sql!(
    "
    SELECT task_id, worker_id, epoch, token, losses, claimed_at, reported_end
    FROM lease WHERE task_id = $1 AND worker_id = $2"
);

const LEASE_OF_ATTEMPT: Sql = sql!(
    "
    SELECT task_id, worker_id, epoch, token, losses, claimed_at, reported_end
    FROM lease WHERE task_id = $1 AND epoch = $2 AND token = $3"
);

/// Finds the lease of a holder; none if it does not hold the task.
pub(crate) async fn find(db: Db<'_>, holder: Holder) -> Result<Option<Lease>, StoreError> {
    match holder {
        Holder::Worker(worker, task) => db.optional(LEASE_OF_WORKER, &[&task.0, &worker.0], read).await,
        Holder::Lease(key) => {
            db.optional(LEASE_OF_ATTEMPT, &[&key.task.0, &key.epoch.0, &key.token.0], read).await
        }
    }
}

/// Like [`find`], and locks the lease until the end of the transaction. Every change of a lease locks its
/// worker first, so the lock is that of the worker.
pub(crate) async fn lock(db: Db<'_>, holder: Holder) -> Result<Option<Lease>, StoreError> {
    if matches!(db, Db::Sqlite(_)) {
        return find(db, holder).await;
    }
    let worker = match holder {
        Holder::Worker(worker, _) => worker,
        Holder::Lease(_) => match find(db, holder).await? {
            Some(lease) => lease.worker,
            None => return Ok(None),
        },
    };
    match workers::lock(db, worker).await? {
        Some(_) => find(db, holder).await,
        None => Ok(None),
    }
}

pub(crate) fn read(row: &Row<'_>) -> Result<Lease, StoreError> {
    Ok(Lease {
        key: read_key(row)?,
        worker: WorkerId(row.value("worker_id")?),
        losses: row.value("losses")?,
        claimed_at: row.time("claimed_at")?,
        reported_end: row.optional_code("reported_end")?,
    })
}

/// The key of a lease or of an ended attempt.
pub(crate) fn read_key(row: &Row<'_>) -> Result<LeaseKey, StoreError> {
    Ok(LeaseKey {
        task: TaskId(row.value("task_id")?),
        epoch: Epoch(row.value("epoch")?),
        token: LeaseToken(row.value("token")?),
    })
}

/// The held task, with its lease.
pub(super) async fn held(db: Db<'_>, holder: Holder) -> Result<Option<Assignment>, StoreError> {
    let Some(lease) = lock(db, holder).await? else { return Ok(None) };
    Ok(Some(Assignment { task: get::by_id(db, lease.key.task).await?, lease: lease.key }))
}

const TOUCH_LEASE: Sql = sql!("UPDATE lease SET updated_at = $2 WHERE task_id = $1");

/// Sets the time of the last report about the attempt.
pub(crate) async fn touch(db: Db<'_>, task: TaskId, now: Timestamp) -> Result<(), StoreError> {
    db.run_one(TOUCH_LEASE, &[&task.0, &now.unix_micros()]).await
}

const DELETE_LEASE: Sql = sql!("DELETE FROM lease WHERE task_id = $1 RETURNING stop_asked, limit_set_id");

const DELETE_LEASE_OF_ATTEMPT: Sql = sql!(
    "
    DELETE FROM lease WHERE task_id = $1 AND epoch = $2 AND token = $3 AND worker_id = $4
    RETURNING task_id, worker_id, epoch, token, losses, claimed_at, reported_end, stop_asked, limit_set_id"
);

/// What is known of a lease when it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndedLease {
    /// Whether a user had requested to stop the task.
    pub(crate) stop_asked: bool,
    /// Whether the task used named limits: others may start now.
    pub(crate) is_limited: bool,
}

/// Ends the attempt. The caller decides what becomes of the task.
pub(crate) async fn end(db: Db<'_>, task: TaskId) -> Result<EndedLease, StoreError> {
    db.one(DELETE_LEASE, &[&task.0], read_ended).await
}

/// Ends an attempt if it is that of the worker, with one statement. None if the worker does not hold it.
pub(crate) async fn end_of(
    db: Db<'_>,
    worker: WorkerId,
    key: LeaseKey,
) -> Result<Option<(Lease, EndedLease)>, StoreError> {
    let params: Params<'_> = &[&key.task.0, &key.epoch.0, &key.token.0, &worker.0];
    db.optional(DELETE_LEASE_OF_ATTEMPT, params, |row| Ok((read(row)?, read_ended(row)?))).await
}

fn read_ended(row: &Row<'_>) -> Result<EndedLease, StoreError> {
    let is_limited = row.value::<Option<i64>>("limit_set_id")?.is_some();
    Ok(EndedLease { stop_asked: row.value("stop_asked")?, is_limited })
}
