//! Finding one task by less than its UUID.

use mitosis_domain::ids::{GroupId, UserId};
use mitosis_domain::task::Task;
use mitosis_protocol::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::row::{Columns, Run, to_json};
use super::get;
use crate::StoreError;
use crate::code::row_count;
use crate::walk::Bisection;

const LAST_ID: &str = "SELECT coalesce(max(id), 0) FROM task";

const CREATED_FROM_ID: &str = "SELECT id, created_at FROM task WHERE id >= ?1 ORDER BY id LIMIT 1";

/// The id from which on tasks were submitted at that time or later.
pub(super) fn first_created(db: &Connection, at: Timestamp) -> Result<i64, StoreError> {
    let mut bisection = Bisection::up_to(db.one(LAST_ID, [], |row| Ok(row.get(0)?))?);
    while let Some(place) = bisection.next() {
        let row = db.optional(CREATED_FROM_ID, [place], |row| {
            Ok((row.value::<i64>("id")?, row.time("created_at")? >= at))
        })?;
        bisection.saw(place, row);
    }
    Ok(bisection.found())
}

const LAST_ID_OF_GROUP: &str = "SELECT coalesce(max(id), 0) FROM task WHERE group_id = ?1";

const NUMBER_FROM_ID: &str =
    "SELECT id, number FROM task WHERE group_id = ?1 AND id >= ?2 ORDER BY id LIMIT 1";

const UUID_FROM_ID: &str = "
    SELECT uuid, number FROM task WHERE group_id = ?1 AND id >= ?2 ORDER BY id LIMIT 1";

/// The task of that number of a group. Numbers rise with the ids.
pub(super) fn by_number(db: &Connection, group: GroupId, number: i64) -> Result<Option<Task>, StoreError> {
    let mut bisection = Bisection::up_to(db.one(LAST_ID_OF_GROUP, [group.0], |row| Ok(row.get(0)?))?);
    while let Some(place) = bisection.next() {
        let row = db.optional(NUMBER_FROM_ID, [group.0, place], |row| {
            Ok((row.value::<i64>("id")?, row.value::<i64>("number")? >= number))
        })?;
        bisection.saw(place, row);
    }
    let found = db.optional(UUID_FROM_ID, [group.0, bisection.found()], |row| {
        Ok((row.uuid("uuid")?, row.value::<i64>("number")?))
    })?;
    match found {
        Some((uuid, found)) if found == number => get::by_uuid(db, uuid),
        _ => Ok(None),
    }
}

const UUIDS_BETWEEN: &str = "
    SELECT uuid FROM task
    WHERE uuid BETWEEN ?1 AND ?2 AND group_id IN (SELECT value FROM json_each(?3)) ORDER BY uuid LIMIT ?4";

/// Tasks of some groups whose UUID lies between two.
pub(super) fn between(
    db: &Connection,
    first: Uuid,
    last: Uuid,
    groups: &[GroupId],
    limit: u64,
) -> Result<Vec<Uuid>, StoreError> {
    let groups: Vec<i64> = groups.iter().map(|group| group.0).collect();
    let params = params![first.as_bytes(), last.as_bytes(), to_json(&groups)?, row_count(limit)];
    db.all(UUIDS_BETWEEN, params, |row| row.uuid("uuid"))
}

const NEWEST_OF: &str = "SELECT uuid FROM task WHERE creator_id = ?1 ORDER BY id DESC LIMIT 1";

/// The task that a user submitted last. Walks back from the newest of all.
pub(super) fn newest_of(db: &Connection, creator: UserId) -> Result<Option<Task>, StoreError> {
    match db.optional(NEWEST_OF, [creator.0], |row| row.uuid("uuid"))? {
        Some(uuid) => get::by_uuid(db, uuid),
        None => Ok(None),
    }
}
