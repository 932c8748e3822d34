//! Archives that have no object of their own: inline in the database, or packed with others.

use std::collections::BTreeMap;

use bytes::Bytes;
use mitosis_domain::object::{ObjectClass, ObjectKey, Owner};
use mitosis_protocol::Timestamp;

use super::packed;
use crate::StoreError;
use crate::db::{Db, Row, Sql, sql};
use crate::enum_codes::Code;
use crate::ops::artifacts::{PackedRange, Place, SmallArchive};

const BY_OBJECT: Sql = sql!(
    "
    SELECT a.size, i.bytes, p.byte_offset, o.object AS packed_object
    FROM task t
    INNER JOIN artifact a ON a.task_id = t.id
    LEFT JOIN inline_archive i ON i.artifact_id = a.id
    LEFT JOIN packed_archive p ON p.artifact_id = a.id
    LEFT JOIN packed_object o ON o.id = p.packed_id
    WHERE t.uuid = $1 AND a.object = $2 AND a.place <> 0"
);

/// An archive that has no object of its own, by the path that its object would have.
pub(super) async fn find(db: Db<'_>, key: &ObjectKey) -> Result<Option<SmallArchive>, StoreError> {
    let Some(Owner::Task(task)) = key.owner() else { return Ok(None) };
    Ok(db.optional(BY_OBJECT, &[&task, &key.path()], read).await?.flatten())
}

/// Reads `size, bytes, byte_offset, packed_object`; `None` if the archive is neither inline nor packed.
pub(in crate::shared) fn read(row: &Row<'_>) -> Result<Option<SmallArchive>, StoreError> {
    if let Some(bytes) = row.value::<Option<Vec<u8>>>("bytes")? {
        return Ok(Some(SmallArchive::Inline(Bytes::from(bytes))));
    }
    let Some(object) = row.value::<Option<String>>("packed_object")? else { return Ok(None) };
    Ok(Some(SmallArchive::Packed(PackedRange {
        object: ObjectKey::from_stored(ObjectClass::Artifacts, object),
        offset: row.value::<i64>("byte_offset")?.unsigned_abs(),
        length: row.value::<i64>("size")?.unsigned_abs(),
    })))
}

const LOCK_SMALL: Sql = sql!(
    "
    SELECT a.id, a.size, a.place FROM task t INNER JOIN artifact a ON a.task_id = t.id
    WHERE t.uuid = $1 AND a.object = $2
    FOR UPDATE OF a"
);

const MARK_MOVED: Sql = sql!("UPDATE artifact SET place = $2 WHERE id = $1");

const DELETE_BYTES: Sql = sql!("DELETE FROM inline_archive WHERE artifact_id = $1");

/// Notes that the bytes of an inline or packed archive are in an object of its own now.
pub(super) async fn moved(db: Db<'_>, key: &ObjectKey, now: Timestamp) -> Result<(), StoreError> {
    let Some(Owner::Task(task)) = key.owner() else { return Ok(()) };
    let read =
        |row: &Row<'_>| Ok((row.value::<i64>("id")?, row.value::<i64>("size")?, row.code::<Place>("place")?));
    let Some((id, size, place)) = db.optional(LOCK_SMALL, &[&task, &key.path()], read).await? else {
        return Ok(());
    };
    match place {
        Place::ObjectStore => return Ok(()),
        Place::Inline => db.run_one(DELETE_BYTES, &[&id]).await?,
        Place::Packed => packed::release(db, &BTreeMap::from([(id, size)]), now).await?,
    }
    db.run_one(MARK_MOVED, &[&id, &Place::ObjectStore.code()]).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_the_task() {
        assert_searches(BY_OBJECT, &["t", "a", "i", "p", "o"]);
        assert_searches(LOCK_SMALL, &["t", "a"]);
    }
}
