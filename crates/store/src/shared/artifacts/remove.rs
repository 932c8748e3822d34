//! Removal of the record of a visible archive.

use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_domain::permission::Action;
use mitosis_protocol::{ArtifactKind, Timestamp};
use uuid::Uuid;

use super::super::expected_uploads;
use super::super::rights;
use super::garbage;
use super::records::RELEASE_STORAGE;
use crate::StoreError;
use crate::db::{Db, Row, Sql, sql};
use crate::enum_codes::Code;
use crate::ops::By;
use crate::ops::artifacts::{Place, Removal};

struct Visible {
    id: i64,
    task: TaskId,
    size: i64,
    object: String,
    place: Place,
    updated_at: Timestamp,
}

/// Locks the task and its group against uploads, other removals and changes of the members.
const LOCK_TASK: Sql = sql!(
    "
    SELECT t.id, t.group_id FROM task t INNER JOIN groups g ON g.id = t.group_id WHERE t.uuid = $1
    FOR UPDATE OF t, g"
);

const VISIBLE_OF_TASK: Sql = sql!(
    "
    SELECT a.id, a.task_id, a.size, a.object, a.place, a.updated_at
    FROM artifact a WHERE a.task_id = $1 AND a.kind = $2 AND a.visible"
);

const DELETE_ARTIFACT: Sql = sql!("DELETE FROM artifact WHERE id = $1");

/// Removes the record unless it was touched after `untouched_since`.
pub(super) async fn remove(
    db: Db<'_>,
    by: By,
    task: Uuid,
    kind: ArtifactKind,
    untouched_since: Timestamp,
) -> Result<Removal, StoreError> {
    let read = |row: &Row<'_>| Ok((row.value::<i64>("id")?, GroupId(row.value("group_id")?)));
    let Some((task, group)) = db.optional(LOCK_TASK, &[&task], read).await? else {
        return Ok(Removal::Unknown);
    };
    let by = rights::resolve(db, by).await?;
    if !rights::may(db, by, group, Action::ManageFiles).await? {
        return Ok(Removal::Denied);
    }
    let found = db
        .optional(VISIBLE_OF_TASK, &[&task, &kind.code()], |row| {
            Ok(Visible {
                id: row.value("id")?,
                task: TaskId(row.value("task_id")?),
                size: row.value("size")?,
                object: row.value("object")?,
                place: row.code("place")?,
                updated_at: row.time("updated_at")?,
            })
        })
        .await?;
    let Some(artifact) = found else { return Ok(Removal::Unknown) };
    if artifact.updated_at > untouched_since {
        return Ok(Removal::TooYoung);
    }
    db.run_one(DELETE_ARTIFACT, &[&artifact.id]).await?;
    db.run_one(RELEASE_STORAGE, &[&artifact.task.0, &artifact.size]).await?;
    if artifact.place == Place::Inline {
        return Ok(Removal::Removed { object: None });
    }
    let key = ObjectKey::from_stored(ObjectClass::Artifacts, artifact.object);
    expected_uploads::delete(db, &key).await?;
    // It is later than the last upload, so all links to the object have been issued before.
    garbage::add(db, key.path(), untouched_since).await?;
    Ok(Removal::Removed { object: Some(key.path().to_owned()) })
}
