//! Submission of tasks, all or none.

use std::collections::{BTreeMap, BTreeSet};

use mitosis_domain::failpoints;
use mitosis_domain::ids::{GroupId, UserId};
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::super::rights;
use super::insert::{Drawn, NewRow, Slot, draw_all_numbers, insert_ready};
use crate::StoreError;
use crate::db::{Db, Json, Params, Sql, sql};
use crate::ops::tasks::{IdempotencyKey, Submission, TaskIds};
use crate::ops::{Changed, Effects};

/// A concurrent submission with the same key waits here until the first one is committed or rolled back.
const RESERVE_KEY: Sql = sql!(
    "
    INSERT INTO submission (creator_id, key, digest, ids, created_at) VALUES ($1, $2, $3, '[]', $4)
    ON CONFLICT (creator_id, key) DO NOTHING"
);

const DELETE_KEY: Sql = sql!("DELETE FROM submission WHERE creator_id = $1 AND key = $2");

/// Repeated submissions lock the key, since each may accept tasks that were refused before.
const FIND_SUBMISSION: Sql =
    sql!("SELECT digest, ids FROM submission WHERE creator_id = $1 AND key = $2 FOR UPDATE");

const RECORD_IDS: Sql = sql!("UPDATE submission SET ids = $3 WHERE creator_id = $1 AND key = $2");

/// Inserts all tasks as Ready, except those that were already accepted with the key.
pub(super) async fn submit(
    db: Db<'_>,
    creator: UserId,
    rows: &[NewRow],
    key: Option<&IdempotencyKey>,
    now: Timestamp,
) -> Result<Changed<Submission>, StoreError> {
    let Some(key) = key else {
        let ids = accept(db, creator, rows, now).await?;
        failpoints::point("submit.commit:before");
        return Ok(accepted(ids));
    };
    match reserve_key(db, creator, key, now).await? {
        Reserved::New => match accept(db, creator, rows, now).await? {
            Some(ids) if !ids.is_empty() => {
                store_ids(db, creator, key, &by_position(key, &ids)).await?;
                failpoints::point("submit.commit:before");
                Ok(accepted(Some(ids)))
            }
            nothing => {
                delete_key(db, creator, key).await?;
                Ok(accepted(nothing))
            }
        },
        Reserved::Earlier(ids) => complete(db, creator, rows, key, ids, now).await,
        Reserved::ForOther => Ok(Changed::nothing(Submission::KeyReused)),
    }
}

/// The tasks that a creator may submit are Ready.
fn accepted(ids: Option<Vec<TaskIds>>) -> Changed<Submission> {
    match ids {
        Some(ids) => Effects { ready: !ids.is_empty(), ..Effects::default() }.with(Submission::Accepted(ids)),
        None => Changed::nothing(Submission::Denied),
    }
}

/// Inserts the tasks as Ready that were refused when the key was first used.
async fn complete(
    db: Db<'_>,
    creator: UserId,
    rows: &[NewRow],
    key: &IdempotencyKey,
    mut ids: Vec<Option<TaskIds>>,
    now: Timestamp,
) -> Result<Changed<Submission>, StoreError> {
    if ids.len() != rows.len() + key.refused.len() {
        return Ok(Changed::nothing(Submission::Denied));
    }
    let places = places(key, ids.len());
    let missing: Vec<(usize, &NewRow)> =
        places.zip(rows).filter(|(place, _)| ids[*place].is_none()).collect();
    if missing.is_empty() {
        return Ok(Changed::nothing(Submission::Replayed(ids)));
    }
    let rows: Vec<NewRow> = missing.iter().map(|(_, row)| (*row).clone()).collect();
    let Some(new) = accept(db, creator, &rows, now).await? else {
        return Ok(Changed::nothing(Submission::Denied));
    };
    for ((place, _), new) in missing.into_iter().zip(new) {
        ids[place] = Some(new);
    }
    store_ids(db, creator, key, &ids).await?;
    Ok(Effects::ready().with(Submission::Replayed(ids)))
}

/// The positions in the request of the tasks that are not refused.
fn places(key: &IdempotencyKey, count: usize) -> impl Iterator<Item = usize> {
    (0..count).filter(|place| key.refused.binary_search(place).is_err())
}

/// The ids by their position in the request.
fn by_position(key: &IdempotencyKey, ids: &[TaskIds]) -> Vec<Option<TaskIds>> {
    let mut by_position = vec![None; ids.len() + key.refused.len()];
    for (place, ids) in places(key, by_position.len()).zip(ids) {
        by_position[place] = Some(*ids);
    }
    by_position
}

/// Inserts all tasks as Ready, if the creator may submit them and see the tasks that they refer to.
async fn accept(
    db: Db<'_>,
    creator: UserId,
    rows: &[NewRow],
    now: Timestamp,
) -> Result<Option<Vec<TaskIds>>, StoreError> {
    let named: BTreeSet<Uuid> = rows.iter().flat_map(|row| row.references.iter().copied()).collect();
    let named: Vec<Uuid> = named.into_iter().collect();
    failpoints::point("submit.task_rows:before");
    let ids = match rights::may_see_all(db, creator, &named).await? {
        true => insert_all(db, creator, rows, now).await?,
        false => None,
    };
    failpoints::point("submit.task_rows:after");
    Ok(ids)
}

/// The owner of an idempotency key.
pub(crate) enum Reserved {
    /// This transaction has just stored it.
    New,
    /// The same request has used it before, with these ids by their position in it.
    Earlier(Vec<Option<TaskIds>>),
    /// A different request has used it before.
    ForOther,
}

/// Stores the key, unless it exists.
pub(crate) async fn reserve_key(
    db: Db<'_>,
    creator: UserId,
    key: &IdempotencyKey,
    now: Timestamp,
) -> Result<Reserved, StoreError> {
    let params: Params<'_> = &[&creator.0, &key.key, &key.digest.as_slice(), &now.unix_micros()];
    match db.run(RESERVE_KEY, params).await? {
        0 => find_earlier(db, creator, key).await,
        _ => Ok(Reserved::New),
    }
}

/// Stores the ids of the tasks under the key, by their position in the request.
pub(crate) async fn store_ids(
    db: Db<'_>,
    creator: UserId,
    key: &IdempotencyKey,
    ids: &[Option<TaskIds>],
) -> Result<(), StoreError> {
    let handed_out: Vec<_> = ids.iter().map(|ids| ids.map(|ids| (ids.uuid, ids.number))).collect();
    db.run_one(RECORD_IDS, &[&creator.0, &key.key, &Json(&handed_out)]).await
}

/// Deletes a key whose request was refused, so that it can be used again.
pub(crate) async fn delete_key(db: Db<'_>, creator: UserId, key: &IdempotencyKey) -> Result<(), StoreError> {
    db.run_one(DELETE_KEY, &[&creator.0, &key.key]).await
}

async fn find_earlier(db: Db<'_>, creator: UserId, key: &IdempotencyKey) -> Result<Reserved, StoreError> {
    db.one(FIND_SUBMISSION, &[&creator.0, &key.key], |row| {
        if row.value::<Vec<u8>>("digest")? != key.digest {
            return Ok(Reserved::ForOther);
        }
        let ids: Vec<Option<(Uuid, i64)>> = row.json("ids")?;
        let ids = ids.into_iter().map(|ids| ids.map(|(uuid, number)| TaskIds { uuid, number }));
        Ok(Reserved::Earlier(ids.collect()))
    })
    .await
}

async fn insert_all(
    db: Db<'_>,
    creator: UserId,
    rows: &[NewRow],
    now: Timestamp,
) -> Result<Option<Vec<TaskIds>>, StoreError> {
    let counts = rows.iter().map(|row| (row.group, 1));
    let Some(mut numbers) = draw_all_numbers(db, creator, counts).await? else { return Ok(None) };
    let clamped = clamp_priorities(rows, &numbers);
    let rows = clamped.as_deref().unwrap_or(rows);
    let mut next_number =
        |group: GroupId| numbers.get_mut(&group).expect("every group of the batch has numbers").next();
    let numbers: Vec<i64> = rows.iter().map(|row| next_number(row.group)).collect();
    let slots: Vec<Slot> = numbers.iter().copied().map(Slot::single).collect();
    insert_ready(db, creator, rows, &slots, now).await?;
    Ok(Some(rows.iter().zip(numbers).map(|(row, number)| TaskIds { uuid: row.uuid, number }).collect()))
}

/// The tasks with priorities that the creator may use, if some are larger: the legacy protocol has no bounds, so its clients
/// don't expect a refusal.
fn clamp_priorities(rows: &[NewRow], numbers: &BTreeMap<GroupId, Drawn>) -> Option<Vec<NewRow>> {
    let clamped = |row: &NewRow| numbers[&row.group].clamp(row.priority);
    let is_too_high = rows.iter().any(|row| clamped(row) < row.priority);
    is_too_high.then(|| rows.iter().map(|row| NewRow { priority: clamped(row), ..row.clone() }).collect())
}
