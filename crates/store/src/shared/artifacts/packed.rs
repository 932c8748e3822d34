//! Archives in packed objects. An object knows how many of its archives are left, and is garbage when there is none.

use std::collections::BTreeMap;

use mitosis_domain::ids::PackedId;
use mitosis_protocol::Timestamp;

use super::garbage;
use crate::StoreError;
use crate::db::{Db, List, Row, Sql, sql};

const DELETE_PACKED: Sql = sql!(
    "
    DELETE FROM packed_archive WHERE artifact_id = ANY($1) RETURNING artifact_id, packed_id"
);

/// Takes archives, given by their ids and sizes, out of their objects. An object without archives is garbage.
///
/// The caller has locked or deleted the records. Objects are locked after them, in the order of their ids.
pub(crate) async fn release(
    db: Db<'_>,
    archives: &BTreeMap<i64, i64>,
    now: Timestamp,
) -> Result<(), StoreError> {
    release_until(db, archives, now, now).await
}

/// Like [`release`]; objects without archives are deleted at `due` only.
pub(crate) async fn release_until(
    db: Db<'_>,
    archives: &BTreeMap<i64, i64>,
    now: Timestamp,
    due: Timestamp,
) -> Result<(), StoreError> {
    if archives.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = archives.keys().copied().collect();
    let read = |row: &Row<'_>| Ok((row.value::<i64>("artifact_id")?, PackedId(row.value("packed_id")?)));
    let packed: Vec<(i64, PackedId)> = db.all(DELETE_PACKED, &[&List(&ids)], read).await?;
    let mut left: BTreeMap<PackedId, (i64, i64)> = BTreeMap::new();
    for (archive, object) in packed {
        let (count, bytes) = left.entry(object).or_default();
        *count += 1;
        *bytes += archives.get(&archive).copied().unwrap_or_default();
    }
    for (object, (count, bytes)) in left {
        if let Some(path) = subtract(db, object, count, bytes).await? {
            garbage::add_late(db, &path, now, due).await?;
        }
    }
    Ok(())
}

const SUBTRACT: Sql = sql!(
    "
    UPDATE packed_object SET live_count = live_count - $2, live_bytes = live_bytes - $3
    WHERE id = $1 RETURNING live_count, object"
);

const DELETE_OBJECT: Sql = sql!("DELETE FROM packed_object WHERE id = $1");

/// Counts archives out of an object. If it was the last one, its row is deleted, and its path returned.
async fn subtract(
    db: Db<'_>,
    object: PackedId,
    count: i64,
    bytes: i64,
) -> Result<Option<String>, StoreError> {
    let read = |row: &Row<'_>| Ok((row.value::<i64>("live_count")?, row.value::<String>("object")?));
    let (left, path) = db.one(SUBTRACT, &[&object.0, &count, &bytes], read).await?;
    if left > 0 {
        return Ok(None);
    }
    db.run_one(DELETE_OBJECT, &[&object.0]).await?;
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_deletes_by_key() {
        assert_searches(DELETE_PACKED, &["packed_archive"]);
        assert_searches(SUBTRACT, &["packed_object"]);
    }
}
