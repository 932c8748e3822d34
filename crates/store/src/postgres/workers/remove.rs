//! A worker goes, and what it held goes back.

use mitosis_domain::ids::{UserId, WorkerId};
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::super::dispatch::lease::{self, Lease};
use super::super::dispatch::lose::put_back;
use super::super::row::{self, Columns, Db};
use super::departure;
use crate::StoreError;
use crate::ops::workers::{Departure, Fate};

const LEASES_OF_WORKER: &str = "
    SELECT task_id, worker_id, epoch, token, losses, reported_end
    FROM lease WHERE worker_id = $1 ORDER BY claimed_at, task_id";

/// `$1` is the worker.
const DELETE_EVERY_TRACE: [&str; 3] = [
    "DELETE FROM worker_group WHERE worker_id = $1",
    "DELETE FROM worker_session WHERE worker_id = $1",
    "DELETE FROM worker WHERE id = $1",
];

/// Removes a worker that the caller has locked; answers which tasks are Ready again, or cancelled. With a
/// departure, it is remembered why it went.
pub(in super::super) async fn remove(
    tx: &impl Db,
    worker: WorkerId,
    uuid: Uuid,
    departure: Option<Departure>,
    fate: Fate,
    now: Timestamp,
) -> Result<Vec<Uuid>, StoreError> {
    let held: Vec<Lease> = row::all(tx, LEASES_OF_WORKER, &[&worker.0], lease::read).await?;
    let mut returned = Vec::with_capacity(held.len());
    for lease in &held {
        returned.push(put_back(tx, lease, fate, now).await?);
    }
    for delete in DELETE_EVERY_TRACE {
        row::run(tx, delete, &[&worker.0]).await?;
    }
    if let Some(departure) = departure {
        departure::note(tx, uuid, departure, now).await?;
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

const LOCK_OF_USER: &str = "SELECT id, uuid FROM worker WHERE creator_id = $1 ORDER BY id FOR UPDATE";

const LOCK_OF_TOKEN: &str = "SELECT id, uuid FROM worker WHERE personal_token_id = $1 ORDER BY id FOR UPDATE";

/// Removes them; answers which.
pub(in super::super) async fn remove_all(
    tx: &impl Db,
    registered: &Registered,
    now: Timestamp,
) -> Result<Vec<Uuid>, StoreError> {
    let (sql, number) = match registered {
        Registered::By(user) => (LOCK_OF_USER, user.0),
        Registered::With(token) => (LOCK_OF_TOKEN, *token),
    };
    let workers: Vec<(WorkerId, Uuid)> =
        row::all(tx, sql, &[&number], |row| Ok((WorkerId(row.value("id")?), row.value("uuid")?))).await?;
    for (worker, uuid) in &workers {
        remove(tx, *worker, *uuid, None, Fate::Returned, now).await?;
    }
    Ok(workers.into_iter().map(|(_, uuid)| uuid).collect())
}
