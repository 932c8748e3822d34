//! Packing: many small archives move from the database into one object.
//!
//! Locks: objects first, then the records of archives, and rows that others have locked are skipped. So packing waits for
//! nothing while it holds a lock, and cannot be part of a deadlock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use mitosis_domain::ids::{ArtifactId, PackedId};
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::Timestamp;

use super::artifacts::{garbage, packed};
use crate::StoreError;
use crate::backend::Backend;
use crate::db::{Db, List, Row, Sql, only, sql};
use crate::enum_codes::Code;
use crate::ops::artifacts::Place;
use crate::ops::packing::{
    PackOutcome, Packable, Packed, PackedFrom, Packing, SmallArchiveSizes, SmallRecord, SparseObject, Unused,
};

/// How long an object stays whose archives were packed again: a backup of the objects may belong to an earlier state of the
/// database.
const REPLACED_OBJECT_LIFE: Duration = Duration::from_hours(24);

#[async_trait]
impl<B: Backend> Packing for B {
    async fn packable(
        &self,
        stored_before: Timestamp,
        after: Option<ArtifactId>,
        limit: u32,
    ) -> Result<Packable, StoreError> {
        let after = after.map_or(0, |archive| archive.0);
        self.read((stored_before, after, limit), |db, (stored_before, after, limit)| {
            Box::pin(packable(db, *stored_before, *after, *limit))
        })
        .await
    }

    async fn inline_bytes(
        &self,
        archives: Vec<SmallRecord>,
    ) -> Result<Vec<(SmallRecord, Bytes)>, StoreError> {
        self.read(archives, |db, archives| Box::pin(inline_bytes(db, archives))).await
    }

    async fn reserve_packed(
        &self,
        key: &ObjectKey,
        size: i64,
        now: Timestamp,
    ) -> Result<PackedId, StoreError> {
        self.write((key.clone(), size, now), |db, (key, size, now)| {
            Box::pin(async move {
                db.one(RESERVE, &[&key.path(), size, &now.unix_micros()], |row| row.get(0).map(PackedId))
                    .await
            })
        })
        .await
    }

    async fn pack(
        &self,
        object: PackedId,
        from: PackedFrom,
        archives: Vec<Packed>,
        now: Timestamp,
    ) -> Result<PackOutcome, StoreError> {
        self.write((object, from, archives, now), |db, (object, from, archives, now)| {
            Box::pin(pack(db, *object, *from, archives, *now))
        })
        .await
    }

    async fn discard_unused(&self, unused: Unused, now: Timestamp) -> Result<u64, StoreError> {
        self.write((unused, now), |db, (unused, now)| Box::pin(discard_unused(db, *unused, *now))).await
    }

    async fn sparse_objects(
        &self,
        reserved_before: Timestamp,
        after: Option<PackedId>,
        limit: u32,
    ) -> Result<Vec<SparseObject>, StoreError> {
        let after = after.map_or(0, |object| object.0);
        self.read((reserved_before, after, limit), |db, (before, after, limit)| {
            Box::pin(sparse_objects(db, *before, *after, *limit))
        })
        .await
    }

    async fn small_archive_sizes(&self) -> Result<SmallArchiveSizes, StoreError> {
        self.read((), |db, ()| Box::pin(sizes(db))).await
    }
}

/// Walks in the order of the records, which is about that of the ends.
const PACKABLE: Sql = sql!(
    "
    SELECT a.id, a.object, a.size, a.updated_at
    FROM inline_archive i INNER JOIN artifact a ON a.id = i.artifact_id
    WHERE i.artifact_id > $1 ORDER BY i.artifact_id LIMIT $2"
);

fn read_record(row: &Row<'_>) -> Result<SmallRecord, StoreError> {
    Ok(SmallRecord {
        id: ArtifactId(row.value("id")?),
        object: row.value("object")?,
        size: row.value("size")?,
    })
}

async fn packable(
    db: Db<'_>,
    stored_before: Timestamp,
    after: i64,
    limit: u32,
) -> Result<Packable, StoreError> {
    let read = |row: &Row<'_>| Ok((read_record(row)?, row.time("updated_at")?));
    let found: Vec<(SmallRecord, Timestamp)> = db.all(PACKABLE, &[&after, &i64::from(limit)], read).await?;
    let (last, full) = (found.last().map(|(record, _)| record.id), found.len() >= limit as usize);
    let archives: Vec<SmallRecord> =
        found.into_iter().filter(|(_, stored)| *stored < stored_before).map(|(record, _)| record).collect();
    // A full round without an old archive ends the walk. A single wrong clock doesn't.
    let next = last.filter(|_| full && !archives.is_empty());
    Ok(Packable { archives, next })
}

const INLINE_BYTES: Sql = sql!(
    "
    SELECT a.id, a.object, a.size, i.bytes
    FROM artifact a INNER JOIN inline_archive i ON i.artifact_id = a.id
    WHERE a.id = ANY($1)"
);

async fn inline_bytes(db: Db<'_>, archives: &[SmallRecord]) -> Result<Vec<(SmallRecord, Bytes)>, StoreError> {
    let ids: Vec<i64> = archives.iter().map(|archive| archive.id.0).collect();
    let read = |row: &Row<'_>| Ok((read_record(row)?, Bytes::from(row.value::<Vec<u8>>("bytes")?)));
    let mut found: HashMap<SmallRecord, Bytes> = db.all(INLINE_BYTES, &[&List(&ids)], read).await?;
    let pair = |archive: &SmallRecord| found.remove_entry(archive);
    Ok(archives.iter().filter_map(pair).collect())
}

const RESERVE: Sql = sql!(
    "
    INSERT INTO packed_object (object, size, live_count, live_bytes, created_at)
    VALUES ($1, $2, 0, 0, $3) RETURNING id"
);

/// Waits for those that take an archive out of one of the objects.
const LOCK_OBJECTS: Sql = sql!("SELECT id FROM packed_object WHERE id = ANY($1) ORDER BY id FOR UPDATE");

const LOCK_INLINE: Sql = sql!(
    "
    SELECT a.id, a.object, a.size FROM artifact a WHERE a.id = ANY($1) AND a.place = 1
    FOR UPDATE SKIP LOCKED"
);

const LOCK_PACKED: Sql = sql!(
    "
    SELECT a.id, a.object, a.size
    FROM artifact a INNER JOIN packed_archive p ON p.artifact_id = a.id
    WHERE a.id = ANY($1) AND a.place = 2 AND p.packed_id = $2
    FOR UPDATE OF a SKIP LOCKED"
);

const SET_PLACE: Sql = sql!("UPDATE artifact SET place = $2 WHERE id = ANY($1)");

const DELETE_INLINE: Sql = sql!("DELETE FROM inline_archive WHERE artifact_id = ANY($1)");

const INSERT_PACKED: Sql = sql!(
    postgres: "
    INSERT INTO packed_archive (artifact_id, packed_id, byte_offset)
    SELECT artifact_id, $2, byte_offset
    FROM unnest($1::bigint[], $3::bigint[]) AS given (artifact_id, byte_offset)",
    sqlite: "
    INSERT INTO packed_archive (artifact_id, packed_id, byte_offset)
    SELECT id.value, ?2, json_extract(?3, '$[' || id.key || ']') FROM json_each(?1) AS id",
);

const ADD: Sql = sql!(
    "
    UPDATE packed_object SET live_count = live_count + $2, live_bytes = live_bytes + $3 WHERE id = $1"
);

async fn pack(
    db: Db<'_>,
    object: PackedId,
    from: PackedFrom,
    archives: &[Packed],
    now: Timestamp,
) -> Result<PackOutcome, StoreError> {
    let objects = match from {
        PackedFrom::Inline => vec![object.0],
        PackedFrom::Object(old) => vec![object.0, old.0],
    };
    let locked: Vec<i64> = db.all(LOCK_OBJECTS, &[&List(&objects)], only).await?;
    if !locked.contains(&object.0) {
        return Ok(PackOutcome::Discarded);
    }
    let ids: Vec<i64> = archives.iter().map(|packed| packed.archive.id.0).collect();
    let unchanged: HashSet<SmallRecord> = match from {
        PackedFrom::Inline => db.all(LOCK_INLINE, &[&List(&ids)], read_record).await?,
        PackedFrom::Object(old) => db.all(LOCK_PACKED, &[&List(&ids), &old.0], read_record).await?,
    };
    let moved: Vec<&Packed> = archives.iter().filter(|packed| unchanged.contains(&packed.archive)).collect();
    if moved.is_empty() {
        return Ok(PackOutcome::Moved(0));
    }
    let ids: Vec<i64> = moved.iter().map(|packed| packed.archive.id.0).collect();
    let offsets: Vec<i64> = moved.iter().map(|packed| packed.offset).collect();
    let bytes: i64 = moved.iter().map(|packed| packed.archive.size).sum();
    match from {
        PackedFrom::Inline => {
            db.run(SET_PLACE, &[&List(&ids), &Place::Packed.code()]).await?;
            db.run(DELETE_INLINE, &[&List(&ids)]).await?;
        }
        PackedFrom::Object(_) => {
            let sizes: BTreeMap<i64, i64> =
                moved.iter().map(|packed| (packed.archive.id.0, packed.archive.size)).collect();
            packed::release_until(db, &sizes, now, now + REPLACED_OBJECT_LIFE).await?;
        }
    }
    db.run(INSERT_PACKED, &[&List(&ids), &object.0, &List(&offsets)]).await?;
    let count = moved.len() as u64;
    db.run_one(ADD, &[&object.0, &i64::try_from(count).unwrap_or(i64::MAX), &bytes]).await?;
    Ok(PackOutcome::Moved(count))
}

const DELETE_UNUSED: Sql =
    sql!("DELETE FROM packed_object WHERE id = $1 AND live_count = 0 RETURNING object");

/// The first condition follows from the second one, and selects the index.
const DELETE_ABANDONED: Sql = sql!(
    "
    DELETE FROM packed_object
    WHERE size > live_bytes * 4 AND live_count = 0 AND created_at < $1 RETURNING object"
);

async fn discard_unused(db: Db<'_>, unused: Unused, now: Timestamp) -> Result<u64, StoreError> {
    let objects: Vec<String> = match unused {
        Unused::Object(id) => db.all(DELETE_UNUSED, &[&id.0], only).await?,
        Unused::ReservedBefore(time) => db.all(DELETE_ABANDONED, &[&time.unix_micros()], only).await?,
    };
    garbage::add_all(db, &objects, now).await?;
    Ok(objects.len() as u64)
}

/// SQLite would rather read all objects in the order of their ids.
const SPARSE: Sql = sql!(
    postgres: "
    SELECT id, object FROM packed_object
    WHERE size > live_bytes * 4 AND live_count > 0 AND created_at < $1 AND id > $2 ORDER BY id LIMIT $3",
    sqlite: "
    SELECT id, object FROM packed_object INDEXED BY packed_object_sparse
    WHERE size > live_bytes * 4 AND live_count > 0 AND created_at < ?1 AND id > ?2 ORDER BY id LIMIT ?3",
);

const ARCHIVES_OF_OBJECT: Sql = sql!(
    "
    SELECT a.id, a.object, a.size, p.byte_offset
    FROM packed_archive p INNER JOIN artifact a ON a.id = p.artifact_id
    WHERE p.packed_id = $1 ORDER BY p.byte_offset"
);

async fn sparse_objects(
    db: Db<'_>,
    reserved_before: Timestamp,
    after: i64,
    limit: u32,
) -> Result<Vec<SparseObject>, StoreError> {
    let read = |row: &Row<'_>| Ok((PackedId(row.value("id")?), row.value::<String>("object")?));
    let found: Vec<(PackedId, String)> =
        db.all(SPARSE, &[&reserved_before.unix_micros(), &after, &i64::from(limit)], read).await?;
    let mut objects = Vec::with_capacity(found.len());
    for (id, object) in found {
        let read =
            |row: &Row<'_>| Ok(Packed { archive: read_record(row)?, offset: row.value("byte_offset")? });
        let archives = db.all(ARCHIVES_OF_OBJECT, &[&id.0], read).await?;
        objects.push(SparseObject {
            id,
            key: ObjectKey::from_stored(ObjectClass::Artifacts, object),
            archives,
        });
    }
    Ok(objects)
}

/// PostgreSQL counts rows and pages itself; the functions read its counters only.
const INLINE_SIZES: Sql = sql!(
    postgres: "
    SELECT pg_stat_get_live_tuples('inline_archive'::regclass) AS archives,
        pg_table_size('inline_archive'::regclass) AS bytes",
    sqlite: "SELECT archives, bytes FROM inline_total",
);

/// Reads the whole table, which has one row for some MiB.
const PACKED_SIZES: Sql = sql!(
    "
    SELECT count(*) AS objects, coalesce(sum(size), 0)::bigint AS bytes,
        coalesce(sum(live_count), 0)::bigint AS archives, coalesce(sum(live_bytes), 0)::bigint AS live_bytes
    FROM packed_object"
);

async fn sizes(db: Db<'_>) -> Result<SmallArchiveSizes, StoreError> {
    let number = |row: &Row<'_>, column: &str| Ok::<_, StoreError>(row.value::<i64>(column)?.unsigned_abs());
    let read = |row: &Row<'_>| Ok((number(row, "archives")?, number(row, "bytes")?));
    let (inline_archives, inline_bytes) = db.one(INLINE_SIZES, &[], read).await?;
    db.one(PACKED_SIZES, &[], |row| {
        Ok(SmallArchiveSizes {
            inline_archives,
            inline_bytes,
            packed_objects: number(row, "objects")?,
            packed_bytes: number(row, "bytes")?,
            packed_archives: number(row, "archives")?,
            packed_live_bytes: number(row, "live_bytes")?,
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::{assert_searches, steps};

    #[test]
    fn sqlite_walks_inline_archives_from_the_cursor() {
        assert_searches(PACKABLE, &["i", "a"]);
        assert_searches(INLINE_BYTES, &["a", "i"]);
    }

    #[test]
    fn sqlite_packs_by_key() {
        assert_searches(LOCK_INLINE, &["a"]);
        assert_searches(LOCK_PACKED, &["a", "p"]);
        assert_searches(SET_PLACE, &["artifact"]);
        assert_searches(DELETE_INLINE, &["inline_archive"]);
        assert_searches(ARCHIVES_OF_OBJECT, &["p", "a"]);
    }

    /// Scanning this index reads nothing but objects with much waste.
    #[test]
    fn sqlite_finds_sparse_objects_by_their_index() {
        for sql in [SPARSE, DELETE_ABANDONED] {
            let steps = steps(sql);
            assert!(steps.iter().any(|step| step.contains("packed_object_sparse")), "{steps:?}");
        }
    }
}
