//! Removing the record of a visible archive.

use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_domain::permission::Action;
use mitosis_protocol::{ArtifactKind, Timestamp};
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::expected;
use super::super::rights;
use super::super::row::{self, Columns, Db};
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

/// Uploads and other removals wait, and changes of the group's members.
const LOCK_TASK: &str = "
    SELECT t.id, t.group_id FROM task t JOIN groups g ON g.id = t.group_id WHERE t.uuid = $1
    FOR UPDATE OF t, g";

const VISIBLE_OF_TASK: &str = "
    SELECT a.id, a.task_id, a.size, a.object, a.updated_at
    FROM artifact a WHERE a.task_id = $1 AND a.kind = $2 AND a.visible";

const DELETE_ARTIFACT: &str = "DELETE FROM artifact WHERE id = $1";

/// Removes the record unless it was touched after `untouched_since`.
pub(super) async fn remove(
    tx: &impl Db,
    by: By,
    task: Uuid,
    kind: ArtifactKind,
    untouched_since: Timestamp,
) -> Result<Removal, StoreError> {
    let read = |row: &Row| Ok((row.value::<i64>("id")?, GroupId(row.value("group_id")?)));
    let Some((task, group)) = row::optional(tx, LOCK_TASK, &[&task], read).await? else {
        return Ok(Removal::Unknown);
    };
    if !rights::may(tx, by, group, Action::ManageFiles).await? {
        return Ok(Removal::Denied);
    }
    let found = row::optional(tx, VISIBLE_OF_TASK, &[&task, &kind.code()], |row| {
        Ok(Visible {
            id: row.value("id")?,
            task: TaskId(row.value("task_id")?),
            size: row.value("size")?,
            object: row.value("object")?,
            updated_at: row.time("updated_at")?,
        })
    })
    .await?;
    let Some(artifact) = found else { return Ok(Removal::Unknown) };
    if artifact.updated_at > untouched_since {
        return Ok(Removal::TooYoung);
    }
    row::run_one(tx, DELETE_ARTIFACT, &[&artifact.id]).await?;
    row::run_one(tx, GIVE_BACK, &[&artifact.task.0, &artifact.size]).await?;
    let key = ObjectKey::from_stored(ObjectClass::Artifacts, artifact.object);
    expected::forget(tx, &key).await?;
    // No link of the last upload is older.
    garbage::add(tx, key.path(), untouched_since).await?;
    Ok(Removal::Removed { object: key.path().to_owned() })
}
