//! The records of a task's archives: listed, published with a commit, discarded with an attempt.
//!
//! What a group is charged is always the sum of the sizes of its records, so a record never goes
//! without its size being given back in the same transaction.

use std::collections::HashMap;

use mitosis_domain::ids::TaskId;
use mitosis_protocol::{ArtifactKind, Timestamp};
use rusqlite::{Connection, Row, params};

use super::super::dispatch::lease;
use super::super::row::{Columns, Run};
use super::garbage;
use crate::StoreError;
use crate::code::Code;
use crate::ops::artifacts::Artifact;
use crate::ops::dispatch::Holder;

const VISIBLE_ARTIFACTS: &str = "
    SELECT kind, size, object, created_at, updated_at
    FROM artifact WHERE task_id = ?1 AND visible ORDER BY kind";

const ANNOUNCED_ARTIFACTS: &str = "
    SELECT kind, size, object, created_at, updated_at
    FROM artifact WHERE task_id = ?1 AND epoch = ?2 AND NOT visible ORDER BY kind";

/// What everybody may see.
pub(super) fn visible(db: &Connection, task: TaskId) -> Result<Vec<Artifact>, StoreError> {
    db.all(VISIBLE_ARTIFACTS, [task.0], read)
}

const VISIBLE_OF_KIND: &str = "
    SELECT kind, size, object, created_at, updated_at
    FROM artifact WHERE task_id = ?1 AND kind = ?2 AND visible";

/// What everybody may see of many tasks.
pub(super) fn visible_of_kind(
    db: &Connection,
    tasks: &[TaskId],
    kind: ArtifactKind,
) -> Result<HashMap<TaskId, Artifact>, StoreError> {
    let mut found = HashMap::new();
    for task in tasks {
        let artifact = db.optional(VISIBLE_OF_KIND, params![task.0, kind.code()], read)?;
        found.extend(artifact.map(|artifact| (*task, artifact)));
    }
    Ok(found)
}

/// What an attempt has announced; nothing if it does not hold the task.
pub(super) fn announced(db: &Connection, holder: Holder) -> Result<Vec<Artifact>, StoreError> {
    match lease::find(db, holder)? {
        Some(lease) => db.all(ANNOUNCED_ARTIFACTS, [lease.key.task.0, lease.key.epoch], read),
        None => Ok(Vec::new()),
    }
}

fn read(row: &Row<'_>) -> Result<Artifact, StoreError> {
    Ok(Artifact {
        kind: row.code("kind")?,
        size: row.value("size")?,
        object: row.value("object")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// A record that was taken out.
struct Taken {
    size: i64,
    object: String,
}

fn read_taken(row: &Row<'_>) -> Result<Taken, StoreError> {
    Ok(Taken { size: row.get(0)?, object: row.get(1)? })
}

const KINDS_OF_ATTEMPT: &str = "
    SELECT kind FROM artifact WHERE task_id = ?1 AND epoch = ?2 AND NOT visible";

const TAKE_VISIBLE: &str = "
    DELETE FROM artifact WHERE task_id = ?1 AND kind = ?2 AND visible RETURNING size, object";

const SHOW_ATTEMPT: &str = "UPDATE artifact SET visible = 1 WHERE task_id = ?1 AND kind = ?2 AND epoch = ?3";

/// Makes the archives of a committed attempt the visible ones, in place of those there were.
pub(in super::super) fn publish_attempt(
    db: &Connection,
    task: TaskId,
    epoch: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let kinds: Vec<ArtifactKind> = db.all(KINDS_OF_ATTEMPT, [task.0, epoch], |row| row.code("kind"))?;
    for kind in kinds {
        let replaced: Vec<Taken> = db.all(TAKE_VISIBLE, params![task.0, kind.code()], read_taken)?;
        give_back(db, task, replaced, now)?;
        db.run_one(SHOW_ATTEMPT, params![task.0, kind.code(), epoch])?;
    }
    Ok(())
}

const TAKE_ANNOUNCED: &str = "
    DELETE FROM artifact WHERE task_id = ?1 AND epoch = ?2 AND NOT visible RETURNING size, object";

/// Drops what a lost attempt announced.
pub(in super::super) fn discard_attempt(
    db: &Connection,
    task: TaskId,
    epoch: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let taken: Vec<Taken> = db.all(TAKE_ANNOUNCED, [task.0, epoch], read_taken)?;
    give_back(db, task, taken, now)
}

const TAKE_ALL: &str = "DELETE FROM artifact WHERE task_id = ?1 RETURNING size, object";

/// Drops all archives of a task that is about to vanish.
pub(in super::super) fn discard_all(db: &Connection, task: TaskId, now: Timestamp) -> Result<(), StoreError> {
    let taken: Vec<Taken> = db.all(TAKE_ALL, [task.0], read_taken)?;
    give_back(db, task, taken, now)
}

/// The group of the task is charged that much less.
pub(super) const GIVE_BACK: &str = "
    UPDATE groups SET storage_used = storage_used - ?2
    WHERE id = (SELECT group_id FROM task WHERE id = ?1)";

fn give_back(db: &Connection, task: TaskId, taken: Vec<Taken>, now: Timestamp) -> Result<(), StoreError> {
    for Taken { size, object } in taken {
        db.run_one(GIVE_BACK, [task.0, size])?;
        garbage::add(db, &object, now)?;
    }
    Ok(())
}
