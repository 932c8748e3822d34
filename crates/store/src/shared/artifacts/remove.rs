//! Removal of the record of a visible archive.

use mitosis_domain::ids::GroupId;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_domain::permission::Action;
use mitosis_protocol::{ArtifactKind, Timestamp};
use uuid::Uuid;

use super::super::expected_uploads;
use super::super::rights;
use super::records::{self, RELEASE_STORAGE};
use crate::StoreError;
use crate::db::{Db, Row, Sql, sql};
use crate::enum_codes::Code;
use crate::ops::Actor;
use crate::ops::artifacts::{Place, Removal};

/// Locks the task and its group against uploads, other removals and changes of the members.
const LOCK_TASK: Sql = sql!(
    "
    SELECT t.id, t.group_id FROM task t INNER JOIN groups g ON g.id = t.group_id WHERE t.uuid = $1
    FOR UPDATE OF t, g"
);

const VISIBLE_OF_TASK: Sql = sql!(
    "
    SELECT id, updated_at FROM artifact WHERE task_id = $1 AND kind = $2 AND visible"
);

/// Packing may have moved the archive since it was read.
const DELETE_ARTIFACT: Sql =
    sql!("DELETE FROM artifact WHERE id = $1 RETURNING id, task_id, size, object, place");

/// Removes the record unless it was touched after `untouched_since`.
pub(super) async fn remove(
    db: Db<'_>,
    actor: Actor,
    task: Uuid,
    kind: ArtifactKind,
    untouched_since: Timestamp,
) -> Result<Removal, StoreError> {
    let read = |row: &Row<'_>| Ok((row.value::<i64>("id")?, GroupId(row.value("group_id")?)));
    let Some((task, group)) = db.optional(LOCK_TASK, &[&task], read).await? else {
        return Ok(Removal::Unknown);
    };
    let actor = rights::resolve(db, actor).await?;
    if !rights::may(db, actor, group, Action::ManageFiles).await? {
        return Ok(Removal::Denied);
    }
    let read = |row: &Row<'_>| Ok((row.value::<i64>("id")?, row.time("updated_at")?));
    let found = db.optional(VISIBLE_OF_TASK, &[&task, &kind.code()], read).await?;
    let Some((id, updated_at)) = found else { return Ok(Removal::Unknown) };
    if updated_at > untouched_since {
        return Ok(Removal::TooYoung);
    }
    let deleted = db.one(DELETE_ARTIFACT, &[&id], records::read_deleted).await?;
    db.run_one(RELEASE_STORAGE, &[&task, &deleted.size]).await?;
    let object = match deleted.place {
        Place::ObjectStore => {
            let key = ObjectKey::from_stored(ObjectClass::Artifacts, deleted.object.clone());
            expected_uploads::delete(db, &key).await?;
            Some(deleted.object.clone())
        }
        Place::Inline | Place::Packed => None,
    };
    // It is later than the last upload, so all links to the object have been issued before.
    records::free(db, vec![deleted], untouched_since).await?;
    Ok(Removal::Removed { object })
}
