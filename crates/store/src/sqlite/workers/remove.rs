//! A worker goes, and what it held goes back.

use mitosis_domain::ids::WorkerId;
use mitosis_protocol::Timestamp;
use rusqlite::Connection;
use uuid::Uuid;

use super::super::dispatch::lease::{self, Lease};
use super::super::dispatch::lose::lose;
use super::super::row::Run;
use crate::Fault;

const LEASES_OF_WORKER: &str = "
    SELECT task_id, worker_id, epoch, token, losses, claimed_at, reported_end
    FROM lease WHERE worker_id = ?1 ORDER BY claimed_at, task_id";

/// In the order that the references between the tables allow; `?1` is the worker.
const DELETE_EVERY_TRACE: [&str; 3] = [
    "DELETE FROM worker_group WHERE worker_id = ?1",
    "DELETE FROM worker_session WHERE worker_id = ?1",
    "DELETE FROM worker WHERE id = ?1",
];

/// Removes the worker; answers which tasks are Ready again.
pub(in super::super) fn remove(
    db: &Connection,
    worker: WorkerId,
    now: Timestamp,
) -> Result<Vec<Uuid>, Fault> {
    let held: Vec<Lease> = db.all(LEASES_OF_WORKER, [worker.0], lease::read)?;
    let returned = held.iter().map(|lease| lose(db, lease, now)).collect::<Result<_, _>>()?;
    for delete in DELETE_EVERY_TRACE {
        db.run(delete, [worker.0])?;
    }
    Ok(returned)
}
