//! Removing the record of a visible archive.

use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_domain::permission::Action;
use mitosis_protocol::{ArtifactKind, Timestamp};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::expected;
use super::super::rights;
use super::super::row::{Columns, Run};
use super::garbage;
use super::records::GIVE_BACK;
use crate::StoreError;
use crate::code::Code;
use crate::ops::By;
use crate::ops::artifacts::Removal;

struct Visible {
    id: i64,
    task: TaskId,
    size: i64,
    object: String,
    updated_at: Timestamp,
}

const GROUP_OF_TASK: &str = "SELECT group_id FROM task WHERE uuid = ?1";

const VISIBLE_OF_TASK: &str = "
    SELECT a.id, a.task_id, a.size, a.object, a.updated_at
    FROM task t JOIN artifact a ON a.task_id = t.id
    WHERE t.uuid = ?1 AND a.kind = ?2 AND a.visible";

const DELETE_ARTIFACT: &str = "DELETE FROM artifact WHERE id = ?1";

/// Removes the record unless it was touched after `untouched_since`.
pub(super) fn remove(
    db: &Connection,
    by: By,
    task: Uuid,
    kind: ArtifactKind,
    untouched_since: Timestamp,
) -> Result<Removal, StoreError> {
    let Some(group) = db.optional(GROUP_OF_TASK, [task.as_bytes()], |row| Ok(GroupId(row.get(0)?)))? else {
        return Ok(Removal::Unknown);
    };
    if !rights::may(db, by, group, Action::ManageFiles)? {
        return Ok(Removal::Denied);
    }
    let found = db.optional(VISIBLE_OF_TASK, params![task.as_bytes(), kind.code()], |row| {
        Ok(Visible {
            id: row.value("id")?,
            task: TaskId(row.value("task_id")?),
            size: row.value("size")?,
            object: row.value("object")?,
            updated_at: row.time("updated_at")?,
        })
    })?;
    let Some(artifact) = found else { return Ok(Removal::Unknown) };
    if artifact.updated_at > untouched_since {
        return Ok(Removal::TooYoung);
    }
    db.run_one(DELETE_ARTIFACT, [artifact.id])?;
    db.run_one(GIVE_BACK, [artifact.task.0, artifact.size])?;
    let key = ObjectKey::from_stored(ObjectClass::Artifacts, artifact.object);
    expected::forget(db, &key)?;
    // No link of the last upload is older.
    garbage::add(db, key.path(), untouched_since)?;
    Ok(Removal::Removed { object: key.path().to_owned() })
}
