//! A worker goes, and what it held goes back.

use mitosis_domain::ids::WorkerId;
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::super::dispatch::lease::{self, Lease};
use super::super::dispatch::lose::lose;
use super::super::row::{self, Db};
use crate::Fault;

const LEASES_OF_WORKER: &str = "
    SELECT task_id, worker_id, epoch, token, losses, reported_end
    FROM lease WHERE worker_id = $1 ORDER BY claimed_at, task_id";

/// `$1` is the worker.
const DELETE_EVERY_TRACE: [&str; 3] = [
    "DELETE FROM worker_group WHERE worker_id = $1",
    "DELETE FROM worker_session WHERE worker_id = $1",
    "DELETE FROM worker WHERE id = $1",
];

/// Removes a worker that the caller has locked; answers which tasks are Ready again.
pub(in super::super) async fn remove(
    tx: &impl Db,
    worker: WorkerId,
    now: Timestamp,
) -> Result<Vec<Uuid>, Fault> {
    let held: Vec<Lease> = row::all(tx, LEASES_OF_WORKER, &[&worker.0], lease::read).await?;
    let mut returned = Vec::with_capacity(held.len());
    for lease in &held {
        returned.push(lose(tx, lease, now).await?);
    }
    for delete in DELETE_EVERY_TRACE {
        row::run(tx, delete, &[&worker.0]).await?;
    }
    Ok(returned)
}
