//! Removal of workers, and requeuing of their tasks.

use mitosis_domain::ids::{UserId, WorkerId};
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::super::dispatch::lease::{self, Lease};
use super::super::dispatch::requeue::requeue;
use super::{hosts, tombstones};
use crate::StoreError;
use crate::db::{Db, Sql, sql};
use crate::ops::workers::{Departure, Fate};
use crate::ops::{Changed, Effects};

const LEASES_OF_WORKER: Sql = sql!(
    "
    SELECT task_id, worker_id, epoch, token, losses, claimed_at, reported_end
    FROM lease WHERE worker_id = $1 ORDER BY claimed_at, task_id"
);

/// The deletions in an order that satisfies the foreign keys; `$1` is the worker.
const DELETE_WORKER: [Sql; 3] = [
    sql!("DELETE FROM worker_group WHERE worker_id = $1"),
    sql!("DELETE FROM worker_session WHERE worker_id = $1"),
    sql!("DELETE FROM worker WHERE id = $1"),
];

/// Removes a locked worker; returns the tasks that are Ready again, or cancelled. The departure is recorded, if
/// there is one.
pub(crate) async fn remove(
    db: Db<'_>,
    worker: WorkerId,
    uuid: Uuid,
    departure: Option<Departure>,
    fate: Fate,
    now: Timestamp,
) -> Result<Changed<Vec<Uuid>>, StoreError> {
    let held: Vec<Lease> = db.all(LEASES_OF_WORKER, &[&worker.0], lease::read).await?;
    let mut returned = Vec::with_capacity(held.len());
    // A request of the worker for a task may be held: it is answered.
    let mut effects = Effects::ready();
    for lease in &held {
        returned.push(effects.keep(requeue(db, lease, fate, now).await?));
    }
    for delete in DELETE_WORKER {
        db.run(delete, &[&worker.0]).await?;
    }
    hosts::delete_unused(db, &[uuid]).await?;
    if let Some(departure) = departure {
        tombstones::note(db, uuid, departure, now).await?;
    }
    Ok(effects.with(returned))
}

/// Workers that are removed together.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Registered {
    /// The workers of this user.
    By(UserId),
    /// The workers that were registered with this personal token.
    With(i64),
}

const LOCK_OF_USER: Sql = sql!("SELECT id, uuid FROM worker WHERE creator_id = $1 ORDER BY id FOR UPDATE");

const LOCK_OF_TOKEN: Sql =
    sql!("SELECT id, uuid FROM worker WHERE personal_token_id = $1 ORDER BY id FOR UPDATE");

/// Removes the workers; returns them.
pub(crate) async fn remove_all(
    db: Db<'_>,
    registered: &Registered,
    now: Timestamp,
) -> Result<Changed<Vec<Uuid>>, StoreError> {
    let (sql, number) = match registered {
        Registered::By(user) => (LOCK_OF_USER, user.0),
        Registered::With(token) => (LOCK_OF_TOKEN, *token),
    };
    let workers: Vec<(WorkerId, Uuid)> =
        db.all(sql, &[&number], |row| Ok((WorkerId(row.value("id")?), row.value("uuid")?))).await?;
    let mut effects = Effects::default();
    for (worker, uuid) in &workers {
        effects.keep(remove(db, *worker, *uuid, None, Fate::Returned, now).await?);
        effects.workers.push(*uuid);
    }
    let removed = effects.workers.clone();
    Ok(effects.with(removed))
}
