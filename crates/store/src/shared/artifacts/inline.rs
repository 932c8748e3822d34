//! Small archives that arrive with the end of their attempt, and whose bytes are stored beside their record.

use std::collections::{BTreeMap, HashSet};

use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_domain::object::ObjectKey;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{Epoch, ResultWarning, Timestamp, WarningCode};
use uuid::Uuid;

use super::records;
use crate::StoreError;
use crate::db::{Db, Row, Sql, only, sql, warnings_to_json};
use crate::enum_codes::Code;
use crate::ops::artifacts::Place;
use crate::ops::dispatch::{Ended, InlineArchive};
use crate::postgres::session::{Params, Session};

/// An attempt that ended in this transaction and came with archives.
pub(crate) struct EndedWithArchives<'a> {
    pub(crate) uuid: Uuid,
    pub(crate) group: GroupId,
    pub(crate) ended: &'a Ended,
}

/// An archive to store.
#[derive(Clone, Copy)]
pub(crate) struct NewArchive<'a> {
    pub(crate) task: TaskId,
    pub(crate) uuid: Uuid,
    pub(crate) epoch: Epoch,
    pub(crate) archive: &'a InlineArchive,
}

impl NewArchive<'_> {
    pub(crate) fn size(&self) -> i64 {
        i64::try_from(self.archive.bytes.len()).unwrap_or(i64::MAX)
    }

    /// The path that the object would have.
    pub(crate) fn object(&self) -> String {
        ObjectKey::attempt_artifact(self.uuid, self.epoch, self.archive.kind).path().to_owned()
    }
}

/// Why an archive is not stored.
#[derive(Clone, Copy)]
enum Refused {
    OverQuota,
    GroupNotActive,
}

impl Refused {
    fn warning(self, new: &NewArchive<'_>) -> ResultWarning {
        let (kind, size) = (new.archive.kind, new.size());
        let text = match self {
            Self::OverQuota => format!(
                "the archive `{kind}` is not stored: the storage quota of the group leaves no room for {size} bytes"
            ),
            Self::GroupNotActive => format!("the archive `{kind}` is not stored: the group is not active"),
        };
        ResultWarning::new(WarningCode::NotStored, Some(kind), text)
    }
}

/// Warnings to add to the results of tasks.
type Warnings = BTreeMap<TaskId, Vec<ResultWarning>>;

/// Stores the archives of attempts that ended, visible at once, and charges their groups. Each that is not stored
/// becomes a warning in the result of its task.
pub(crate) async fn store(
    db: Db<'_>,
    attempts: &[EndedWithArchives<'_>],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut by_group: BTreeMap<GroupId, Vec<NewArchive<'_>>> = BTreeMap::new();
    for EndedWithArchives { uuid, group, ended } in attempts {
        by_group.entry(*group).or_default().extend(ended.archives.iter().map(|archive| NewArchive {
            task: ended.lease.task,
            uuid: *uuid,
            epoch: ended.lease.epoch,
            archive,
        }));
    }
    let (mut accepted, mut refused) = (Vec::new(), Warnings::new());
    for (group, archives) in by_group {
        let total = archives.iter().map(NewArchive::size).sum();
        match charge_active(db, group, total).await? {
            true => accepted.extend(archives),
            false => choose(db, group, archives, &mut accepted, &mut refused).await?,
        }
    }
    for archive in insert(db, &accepted, now).await? {
        replace(db, archive, now).await?;
    }
    warn(db, attempts, refused).await
}

const CHARGE_ACTIVE: Sql = sql!(
    "
    UPDATE groups SET storage_used = storage_used + $2
    WHERE id = $1 AND state = $3 AND $2 <= storage_quota - storage_used"
);

/// Charges a group; false if it is not active or its quota does not allow it.
async fn charge_active(db: Db<'_>, group: GroupId, size: i64) -> Result<bool, StoreError> {
    Ok(db.run(CHARGE_ACTIVE, &[&group.0, &size, &AccountState::Active.code()]).await? == 1)
}

const LOCK_GROUP: &str = "SELECT 1 FROM groups WHERE id = $1 FOR UPDATE";

const ROOM: Sql = sql!("SELECT state, storage_quota - storage_used AS room FROM groups WHERE id = $1");

/// Accepts, in their order, the archives for which a group has room, and charges the group for them.
async fn choose<'a>(
    db: Db<'_>,
    group: GroupId,
    archives: Vec<NewArchive<'a>>,
    accepted: &mut Vec<NewArchive<'a>>,
    refused: &mut Warnings,
) -> Result<(), StoreError> {
    db.lock(LOCK_GROUP, &[&group.0]).await?;
    let read = |row: &Row<'_>| Ok((row.code::<AccountState>("state")?, row.value::<i64>("room")?));
    let (state, mut room) = db.one(ROOM, &[&group.0], read).await?;
    let before = room;
    let mut refuse = |why: Refused, archive: &NewArchive<'_>| {
        refused.entry(archive.task).or_default().push(why.warning(archive));
    };
    for archive in archives {
        match archive.size() {
            _ if state != AccountState::Active => refuse(Refused::GroupNotActive, &archive),
            size if size <= room => {
                room -= size;
                accepted.push(archive);
            }
            _ => refuse(Refused::OverQuota, &archive),
        }
    }
    if room < before {
        db.run_one(records::CHARGE_STORAGE, &[&group.0, &(before - room)]).await?;
    }
    Ok(())
}

const INSERT_RECORD: Sql = sql!(
    "
    INSERT INTO artifact (task_id, kind, epoch, size, object, visible, created_at, updated_at, place)
    VALUES ($1, $2, $3, $4, $5, true, $6, $6, $7) ON CONFLICT DO NOTHING RETURNING id"
);

const INSERT_BYTES: Sql = sql!("INSERT INTO inline_archive (artifact_id, bytes) VALUES ($1, $2)");

/// All at once; returns the rows that are new.
const INSERT_ALL: &str = "
    WITH given AS (
        SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::bigint[], $5::text[], $6::bytea[])
            AS given (task_id, kind, epoch, size, object, bytes)),
    record AS (
        INSERT INTO artifact (task_id, kind, epoch, size, object, visible, created_at, updated_at, place)
        SELECT task_id, kind, epoch, size, object, true, $7, $7, $8 FROM given
        ON CONFLICT DO NOTHING RETURNING id, task_id, kind),
    stored AS (
        INSERT INTO inline_archive (artifact_id, bytes)
        SELECT record.id, given.bytes FROM record JOIN given USING (task_id, kind))
    SELECT task_id, kind FROM record";

/// Inserts records and bytes; returns the archives of which the task already has one of that kind.
async fn insert<'a>(
    db: Db<'_>,
    archives: &[NewArchive<'a>],
    now: Timestamp,
) -> Result<Vec<NewArchive<'a>>, StoreError> {
    let mut existing = Vec::new();
    match db {
        _ if archives.is_empty() => {}
        Db::Postgres(session) => {
            let inserted = insert_all(session, archives, now).await?;
            let is_new =
                |archive: &&NewArchive<'_>| inserted.contains(&(archive.task.0, archive.archive.kind.code()));
            existing.extend(archives.iter().filter(|archive| !is_new(archive)));
        }
        Db::Sqlite(_) => {
            for archive in archives {
                if !insert_one(db, archive, now).await? {
                    existing.push(*archive);
                }
            }
        }
    }
    Ok(existing)
}

async fn insert_all(
    db: Session<'_>,
    archives: &[NewArchive<'_>],
    now: Timestamp,
) -> Result<HashSet<(i64, i16)>, StoreError> {
    let tasks: Vec<i64> = archives.iter().map(|new| new.task.0).collect();
    let kinds: Vec<i16> = archives.iter().map(|new| new.archive.kind.code()).collect();
    let epochs: Vec<i64> = archives.iter().map(|new| new.epoch.0).collect();
    let sizes: Vec<i64> = archives.iter().map(NewArchive::size).collect();
    let objects: Vec<String> = archives.iter().map(NewArchive::object).collect();
    let bytes: Vec<&[u8]> = archives.iter().map(|new| &*new.archive.bytes).collect();
    let (now, place) = (now.unix_micros(), Place::Inline.code());
    let params: Params<'_> = &[&tasks, &kinds, &epochs, &sizes, &objects, &bytes, &now, &place];
    db.all(INSERT_ALL, params, |row| Ok((row.value("task_id")?, row.value("kind")?))).await
}

/// Inserts one archive; false if the task already has one of that kind.
async fn insert_one(db: Db<'_>, new: &NewArchive<'_>, now: Timestamp) -> Result<bool, StoreError> {
    let (size, object) = (new.size(), new.object());
    let (now, place) = (now.unix_micros(), Place::Inline.code());
    let kind = new.archive.kind.code();
    let record = db
        .optional(
            INSERT_RECORD,
            &[&new.task.0, &kind, &new.epoch.0, &size, &object, &now, &place],
            only::<i64>,
        )
        .await?;
    let Some(id) = record else { return Ok(false) };
    db.run_one(INSERT_BYTES, &[&id, &&*new.archive.bytes]).await?;
    Ok(true)
}

/// Stores an archive in place of the visible one of its kind, which a user uploaded while the task ran. An archive
/// that the attempt has uploaded itself stays.
async fn replace(db: Db<'_>, new: NewArchive<'_>, now: Timestamp) -> Result<(), StoreError> {
    let kind = new.archive.kind;
    if !records::delete_visible_of_other(db, new.task, kind, new.epoch, now).await?
        || !insert_one(db, &new, now).await?
    {
        db.run_one(records::RELEASE_STORAGE, &[&new.task.0, &new.size()]).await?;
    }
    Ok(())
}

const SET_WARNINGS: Sql = sql!("UPDATE done SET warnings = $2 WHERE task_id = $1");

/// Adds to the results of tasks what is not stored.
async fn warn(
    db: Db<'_>,
    attempts: &[EndedWithArchives<'_>],
    mut refused: Warnings,
) -> Result<(), StoreError> {
    for EndedWithArchives { ended, .. } in attempts {
        let task = ended.lease.task;
        let Some(added) = refused.remove(&task) else { continue };
        let warnings = [ended.warnings.clone(), added].concat();
        db.run_one(SET_WARNINGS, &[&task.0, &warnings_to_json(&warnings)?]).await?;
    }
    Ok(())
}
