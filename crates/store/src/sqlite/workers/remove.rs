//! A worker goes, and what it held goes back.

use mitosis_domain::ids::{UserId, WorkerId};
use mitosis_protocol::Timestamp;
use rusqlite::Connection;
use uuid::Uuid;

use super::super::dispatch::lease::{self, Lease};
use super::super::dispatch::lose::put_back;
use super::super::row::{Columns, Run};
use super::departure;
use crate::StoreError;
use crate::ops::workers::{Departure, Fate};

const LEASES_OF_WORKER: &str = "
    SELECT task_id, worker_id, epoch, token, losses, claimed_at, reported_end
    FROM lease WHERE worker_id = ?1 ORDER BY claimed_at, task_id";

/// In the order that the references between the tables allow; `?1` is the worker.
const DELETE_EVERY_TRACE: [&str; 3] = [
    "DELETE FROM worker_group WHERE worker_id = ?1",
    "DELETE FROM worker_session WHERE worker_id = ?1",
    "DELETE FROM worker WHERE id = ?1",
];

/// Removes the worker; answers which tasks are Ready again, or cancelled. With a departure, it is remembered
/// why it went.
pub(in super::super) fn remove(
    db: &Connection,
    worker: WorkerId,
    uuid: Uuid,
    departure: Option<Departure>,
    fate: Fate,
    now: Timestamp,
) -> Result<Vec<Uuid>, StoreError> {
    let held: Vec<Lease> = db.all(LEASES_OF_WORKER, [worker.0], lease::read)?;
    let returned = held.iter().map(|lease| put_back(db, lease, fate, now)).collect::<Result<_, _>>()?;
    for delete in DELETE_EVERY_TRACE {
        db.run(delete, [worker.0])?;
    }
    if let Some(departure) = departure {
        departure::note(db, uuid, departure, now)?;
    }
    Ok(returned)
}

/// Workers that end together.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Registered {
    /// By this user.
    By(UserId),
    /// With this personal token.
    With(i64),
}

const OF_USER: &str = "SELECT id, uuid FROM worker WHERE creator_id = ?1 ORDER BY id";

const OF_TOKEN: &str = "SELECT id, uuid FROM worker WHERE personal_token_id = ?1 ORDER BY id";

/// Removes them; answers which.
pub(in super::super) fn remove_all(
    db: &Connection,
    registered: &Registered,
    now: Timestamp,
) -> Result<Vec<Uuid>, StoreError> {
    let (sql, number) = match registered {
        Registered::By(user) => (OF_USER, user.0),
        Registered::With(token) => (OF_TOKEN, *token),
    };
    let workers: Vec<(WorkerId, Uuid)> =
        db.all(sql, [number], |row| Ok((WorkerId(row.value("id")?), row.uuid("uuid")?)))?;
    for (worker, uuid) in &workers {
        remove(db, *worker, *uuid, None, Fate::Returned, now)?;
    }
    Ok(workers.into_iter().map(|(_, uuid)| uuid).collect())
}
