//! The records of a task's archives, which are published with a commit and discarded with a lost attempt.
//!
//! The charge of a group is always the sum of the sizes of its records, so the deletion of a record releases
//! its size in the same transaction.

use std::collections::{BTreeMap, HashMap};

use mitosis_domain::ids::TaskId;
use mitosis_protocol::{ArtifactKind, Epoch, Timestamp};

use super::super::dispatch::lease;
use super::{garbage, packed};
use crate::StoreError;
use crate::db::{Db, List, Row, Sql, sql};
use crate::enum_codes::Code;
use crate::ops::artifacts::{Artifact, Place};
use crate::ops::dispatch::Holder;

const VISIBLE_ARTIFACTS: Sql = sql!(
    "
    SELECT kind, size, object, place, created_at, updated_at
    FROM artifact WHERE task_id = $1 AND visible ORDER BY kind"
);

const ANNOUNCED_ARTIFACTS: Sql = sql!(
    "
    SELECT kind, size, object, place, created_at, updated_at
    FROM artifact WHERE task_id = $1 AND epoch = $2 AND NOT visible ORDER BY kind"
);

/// The visible archives of a task.
pub(super) async fn visible(db: Db<'_>, task: TaskId) -> Result<Vec<Artifact>, StoreError> {
    db.all(VISIBLE_ARTIFACTS, &[&task.0], read).await
}

/// An attempt that has not ended may still upload.
const ARTIFACTS_OF_ATTEMPT: Sql = sql!(
    "
    SELECT kind, size, object, place, created_at, updated_at
    FROM artifact a WHERE a.task_id = $1 AND a.epoch = $2
      AND (a.visible OR EXISTS (SELECT 1 FROM attempt e WHERE e.task_id = $1 AND e.epoch = $2))
    ORDER BY kind"
);

/// The archives of an ended attempt.
pub(super) async fn of_attempt(
    db: Db<'_>,
    task: TaskId,
    attempt: Epoch,
) -> Result<Vec<Artifact>, StoreError> {
    db.all(ARTIFACTS_OF_ATTEMPT, &[&task.0, &attempt.0], read).await
}

const VISIBLE_OF_KIND: Sql = sql!(
    "
    SELECT task_id, kind, size, object, place, created_at, updated_at
    FROM artifact WHERE task_id = ANY($1) AND kind = $2 AND visible"
);

/// The visible archives of many tasks.
pub(super) async fn visible_of_kind(
    db: Db<'_>,
    tasks: &[TaskId],
    kind: ArtifactKind,
) -> Result<HashMap<TaskId, Artifact>, StoreError> {
    let ids: Vec<i64> = tasks.iter().map(|task| task.0).collect();
    let read = |row: &Row<'_>| Ok((TaskId(row.value("task_id")?), read(row)?));
    db.all(VISIBLE_OF_KIND, &[&List(&ids), &kind.code()], read).await
}

const ANNOUNCED_BY_WORKER: Sql = sql!(
    "
    SELECT a.kind, a.size, a.object, a.place, a.created_at, a.updated_at
    FROM lease l INNER JOIN artifact a ON a.task_id = l.task_id AND a.epoch = l.epoch AND NOT a.visible
    WHERE l.task_id = $1 AND l.worker_id = $2 ORDER BY a.kind"
);

/// The archives that an attempt has announced; none if it does not hold the task.
pub(super) async fn announced(db: Db<'_>, holder: Holder) -> Result<Vec<Artifact>, StoreError> {
    if let Holder::Worker(worker, task) = holder {
        return db.all(ANNOUNCED_BY_WORKER, &[&task.0, &worker.0], read).await;
    }
    match lease::find(db, holder).await? {
        Some(lease) => db.all(ANNOUNCED_ARTIFACTS, &[&lease.key.task.0, &lease.key.epoch.0], read).await,
        None => Ok(Vec::new()),
    }
}

fn read(row: &Row<'_>) -> Result<Artifact, StoreError> {
    Ok(Artifact {
        kind: row.code("kind")?,
        size: row.value("size")?,
        object: row.value("object")?,
        place: row.code("place")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// A deleted record.
pub(crate) struct DeletedRecord {
    id: i64,
    pub(crate) task: TaskId,
    pub(crate) size: i64,
    pub(crate) object: String,
    pub(crate) place: Place,
}

/// Reads what a deletion returns: `id, task_id, size, object, place`.
pub(crate) fn read_deleted(row: &Row<'_>) -> Result<DeletedRecord, StoreError> {
    Ok(DeletedRecord {
        id: row.value("id")?,
        task: TaskId(row.value("task_id")?),
        size: row.value("size")?,
        object: row.value("object")?,
        place: row.code("place")?,
    })
}

/// Frees what the bytes of deleted records took up: objects without an archive are garbage from `now` on.
pub(crate) async fn free(db: Db<'_>, deleted: Vec<DeletedRecord>, now: Timestamp) -> Result<(), StoreError> {
    let packed: BTreeMap<i64, i64> = deleted
        .iter()
        .filter(|record| record.place == Place::Packed)
        .map(|record| (record.id, record.size))
        .collect();
    let objects: Vec<String> = deleted
        .into_iter()
        .filter(|record| record.place == Place::ObjectStore)
        .map(|record| record.object)
        .collect();
    garbage::add_all(db, &objects, now).await?;
    packed::release(db, &packed, now).await
}

const LOCK_TASK: &str = "SELECT 1 FROM task WHERE id = $1 FOR UPDATE";

/// Locks a task against uploads by users.
async fn lock_task(db: Db<'_>, task: TaskId) -> Result<(), StoreError> {
    db.lock(LOCK_TASK, &[&task.0]).await
}

const KINDS_OF_ATTEMPT: Sql = sql!(
    "
    SELECT kind FROM artifact WHERE task_id = $1 AND epoch = $2 AND NOT visible"
);

const DELETE_VISIBLE: Sql = sql!(
    "
    DELETE FROM artifact WHERE task_id = $1 AND kind = $2 AND visible RETURNING id, task_id, size, object, place"
);

const PUBLISH_ATTEMPT: Sql =
    sql!("UPDATE artifact SET visible = true WHERE task_id = $1 AND kind = $2 AND epoch = $3");

const DELETE_VISIBLE_OF_OTHER: Sql = sql!(
    "
    DELETE FROM artifact WHERE task_id = $1 AND kind = $2 AND visible AND epoch <> $3
    RETURNING id, task_id, size, object, place"
);

/// Deletes the visible archive of one kind, unless it belongs to the attempt; returns whether there was one.
pub(super) async fn delete_visible_of_other(
    db: Db<'_>,
    task: TaskId,
    kind: ArtifactKind,
    epoch: Epoch,
    now: Timestamp,
) -> Result<bool, StoreError> {
    lock_task(db, task).await?;
    let taken: Vec<DeletedRecord> =
        db.all(DELETE_VISIBLE_OF_OTHER, &[&task.0, &kind.code(), &epoch.0], read_deleted).await?;
    let has_removed = !taken.is_empty();
    release_storage(db, task, taken, now).await?;
    Ok(has_removed)
}

/// Makes the archives of a committed attempt visible, in place of the previous ones.
pub(crate) async fn publish_attempt(
    db: Db<'_>,
    task: TaskId,
    epoch: Epoch,
    now: Timestamp,
) -> Result<(), StoreError> {
    let kinds: Vec<ArtifactKind> =
        db.all(KINDS_OF_ATTEMPT, &[&task.0, &epoch.0], |row| row.code("kind")).await?;
    if kinds.is_empty() {
        return Ok(());
    }
    lock_task(db, task).await?;
    for kind in kinds {
        let replaced: Vec<DeletedRecord> =
            db.all(DELETE_VISIBLE, &[&task.0, &kind.code()], read_deleted).await?;
        release_storage(db, task, replaced, now).await?;
        db.run_one(PUBLISH_ATTEMPT, &[&task.0, &kind.code(), &epoch.0]).await?;
    }
    Ok(())
}

const DELETE_ANNOUNCED: Sql = sql!(
    "
    DELETE FROM artifact WHERE task_id = $1 AND epoch = $2 AND NOT visible RETURNING id, task_id, size, object, place"
);

/// Deletes the records that a lost attempt announced.
pub(crate) async fn discard_attempt(
    db: Db<'_>,
    task: TaskId,
    epoch: Epoch,
    now: Timestamp,
) -> Result<(), StoreError> {
    let taken: Vec<DeletedRecord> = db.all(DELETE_ANNOUNCED, &[&task.0, &epoch.0], read_deleted).await?;
    release_storage(db, task, taken, now).await
}

const DELETE_ALL: Sql =
    sql!("DELETE FROM artifact WHERE task_id = $1 RETURNING id, task_id, size, object, place");

/// Deletes the records of all archives of a task that is about to be deleted.
pub(crate) async fn discard_all(db: Db<'_>, task: TaskId, now: Timestamp) -> Result<(), StoreError> {
    lock_task(db, task).await?;
    let taken: Vec<DeletedRecord> = db.all(DELETE_ALL, &[&task.0], read_deleted).await?;
    release_storage(db, task, taken, now).await
}

/// Charges a group.
pub(crate) const CHARGE_STORAGE: Sql =
    sql!("UPDATE groups SET storage_used = storage_used + $2 WHERE id = $1");

/// Reduces the charge of the task's group.
pub(super) const RELEASE_STORAGE: Sql = sql!(
    "
    UPDATE groups SET storage_used = storage_used - $2
    WHERE id = (SELECT group_id FROM task WHERE id = $1)"
);

async fn release_storage(
    db: Db<'_>,
    task: TaskId,
    taken: Vec<DeletedRecord>,
    now: Timestamp,
) -> Result<(), StoreError> {
    for record in &taken {
        db.run_one(RELEASE_STORAGE, &[&task.0, &record.size]).await?;
    }
    free(db, taken, now).await
}
