//! Who holds a task.

use mitosis_domain::ids::{TaskId, WorkerId};
use mitosis_domain::task::{ExecEnd, LeaseKey};
use mitosis_protocol::Timestamp;
use tokio_postgres::Row;

use super::super::row::{self, Columns, Db};
use super::super::tasks::get;
use super::super::workers;
use crate::StoreError;
use crate::ops::dispatch::{Assignment, Holder};

/// A worker's hold on a task.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Lease {
    pub(in super::super) key: LeaseKey,
    pub(in super::super) worker: WorkerId,
    pub(in super::super) losses: i64,
    pub(in super::super) reported_end: Option<ExecEnd>,
}

const LEASE_OF_WORKER: &str = "
    SELECT task_id, worker_id, epoch, token, losses, reported_end
    FROM lease WHERE task_id = $1 AND worker_id = $2";

const LEASE_OF_ATTEMPT: &str = "
    SELECT task_id, worker_id, epoch, token, losses, reported_end
    FROM lease WHERE task_id = $1 AND epoch = $2 AND token = $3";

/// The lease behind a claim to hold a task; none when the task is not held, or not by this one.
pub(in super::super) async fn find(db: &impl Db, holder: Holder) -> Result<Option<Lease>, StoreError> {
    match holder {
        Holder::Worker(worker, task) => row::optional(db, LEASE_OF_WORKER, &[&task.0, &worker.0], read).await,
        Holder::Lease(key) => {
            row::optional(db, LEASE_OF_ATTEMPT, &[&key.task.0, &key.epoch, &key.token], read).await
        }
    }
}

/// Like [`find`], and the lease stays as it is until the end of the transaction: all that changes one
/// locks its worker first.
pub(in super::super) async fn hold(tx: &impl Db, holder: Holder) -> Result<Option<Lease>, StoreError> {
    let worker = match holder {
        Holder::Worker(worker, _) => worker,
        Holder::Lease(_) => match find(tx, holder).await? {
            Some(lease) => lease.worker,
            None => return Ok(None),
        },
    };
    match workers::lock(tx, worker).await? {
        Some(_) => find(tx, holder).await,
        None => Ok(None),
    }
}

pub(in super::super) fn read(row: &Row) -> Result<Lease, StoreError> {
    Ok(Lease {
        key: LeaseKey {
            task: TaskId(row.value("task_id")?),
            epoch: row.value("epoch")?,
            token: row.value("token")?,
        },
        worker: WorkerId(row.value("worker_id")?),
        losses: row.value("losses")?,
        reported_end: row.optional_code("reported_end")?,
    })
}

/// The task that is held.
pub(super) async fn held(tx: &impl Db, holder: Holder) -> Result<Option<Assignment>, StoreError> {
    let Some(lease) = hold(tx, holder).await? else { return Ok(None) };
    Ok(Some(Assignment { task: get::by_id(tx, lease.key.task).await?, lease: lease.key }))
}

const TOUCH_LEASE: &str = "UPDATE lease SET updated_at = $2 WHERE task_id = $1";

/// Notes that something about the attempt was reported.
pub(in super::super) async fn touch(tx: &impl Db, task: TaskId, now: Timestamp) -> Result<(), StoreError> {
    row::run_one(tx, TOUCH_LEASE, &[&task.0, &now.unix_micros()]).await
}

const DELETE_LEASE: &str = "DELETE FROM lease WHERE task_id = $1 RETURNING stop_asked";

/// Ends the attempt; answers whether a user had asked for its stop. What becomes of the task is up to the
/// caller.
pub(in super::super) async fn end(tx: &impl Db, task: TaskId) -> Result<bool, StoreError> {
    row::one(tx, DELETE_LEASE, &[&task.0], row::only).await
}
