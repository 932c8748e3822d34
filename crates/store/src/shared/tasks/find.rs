//! Lookup of a task by something else than its full UUID.

use mitosis_domain::ids::{GroupId, UserId};
use mitosis_domain::task::Task;
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::get;
use crate::StoreError;
use crate::db::{Db, List, Sql, only, sql};
use crate::enum_codes::row_count;
use crate::index_choice::Bisection;

const LAST_ID: Sql = sql!("SELECT coalesce(max(id), 0) FROM task");

const CREATED_FROM_ID: Sql = sql!("SELECT id, created_at FROM task WHERE id >= $1 ORDER BY id LIMIT 1");

/// The id from which on tasks were submitted at this time or later.
pub(super) async fn first_created(db: Db<'_>, at: Timestamp) -> Result<i64, StoreError> {
    let mut bisection = Bisection::up_to(db.one(LAST_ID, &[], only).await?);
    while let Some(place) = bisection.next() {
        let row = db
            .optional(CREATED_FROM_ID, &[&place], |row| {
                Ok((row.value::<i64>("id")?, row.time("created_at")? >= at))
            })
            .await?;
        bisection.record(place, row);
    }
    Ok(bisection.found())
}

const LAST_ID_OF_GROUP: Sql = sql!("SELECT coalesce(max(id), 0) FROM task WHERE group_id = $1");

const NUMBER_FROM_ID: Sql =
    sql!("SELECT id, number FROM task WHERE group_id = $1 AND id >= $2 ORDER BY id LIMIT 1");

const UUID_FROM_ID: Sql = sql!(
    "
    SELECT uuid, number FROM task WHERE group_id = $1 AND id >= $2 ORDER BY id LIMIT 1"
);

/// The task with this number in a group. Numbers increase with the ids, since both are drawn under the same
/// lock.
pub(super) async fn by_number(db: Db<'_>, group: GroupId, number: i64) -> Result<Option<Task>, StoreError> {
    let mut bisection = Bisection::up_to(db.one(LAST_ID_OF_GROUP, &[&group.0], only).await?);
    while let Some(place) = bisection.next() {
        let row = db
            .optional(NUMBER_FROM_ID, &[&group.0, &place], |row| {
                Ok((row.value::<i64>("id")?, row.value::<i64>("number")? >= number))
            })
            .await?;
        bisection.record(place, row);
    }
    let found = db
        .optional(UUID_FROM_ID, &[&group.0, &bisection.found()], |row| {
            Ok((row.value::<Uuid>("uuid")?, row.value::<i64>("number")?))
        })
        .await?;
    match found {
        Some((uuid, found)) if found == number => get::by_uuid(db, uuid).await,
        _ => Ok(None),
    }
}

const UUIDS_BETWEEN: Sql = sql!(
    "
    SELECT uuid FROM task
    WHERE uuid BETWEEN $1 AND $2 AND group_id = ANY($3) ORDER BY uuid LIMIT $4"
);

/// Tasks of some groups whose UUIDs lie in a range.
pub(super) async fn between(
    db: Db<'_>,
    first: Uuid,
    last: Uuid,
    groups: &[GroupId],
    limit: u64,
) -> Result<Vec<Uuid>, StoreError> {
    let groups: Vec<i64> = groups.iter().map(|group| group.0).collect();
    db.all(UUIDS_BETWEEN, &[&first, &last, &List(&groups), &row_count(limit)], only).await
}

const NEWEST_OF: Sql = sql!("SELECT uuid FROM task WHERE creator_id = $1 ORDER BY id DESC LIMIT 1");

/// The task that a user submitted last. It walks backwards from the newest task of all.
pub(super) async fn newest_of(db: Db<'_>, creator: UserId) -> Result<Option<Task>, StoreError> {
    match db.optional(NEWEST_OF, &[&creator.0], only::<Uuid>).await? {
        Some(uuid) => get::by_uuid(db, uuid).await,
        None => Ok(None),
    }
}
