//! Accepting tasks, all or none.

use std::collections::{BTreeMap, BTreeSet};

use mitosis_domain::crash;
use mitosis_domain::ids::{GroupId, UserId};
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::super::rights;
use super::insert::{NewRow, insert_ready, take_numbers};
use crate::StoreError;
use crate::db::{Db, Json, Params, Sql, sql};
use crate::ops::tasks::{IdempotencyKey, Submission, TaskIds};

/// Whoever comes second waits here until the first has been committed, or undone.
const RESERVE_KEY: Sql = sql!(
    "
    INSERT INTO submission (creator_id, key, digest, ids, created_at) VALUES ($1, $2, $3, '[]', $4)
    ON CONFLICT (creator_id, key) DO NOTHING"
);

const DELETE_KEY: Sql = sql!("DELETE FROM submission WHERE creator_id = $1 AND key = $2");

const FIND_SUBMISSION: Sql = sql!("SELECT digest, ids FROM submission WHERE creator_id = $1 AND key = $2");

const NOTE_IDS: Sql = sql!("UPDATE submission SET ids = $3 WHERE creator_id = $1 AND key = $2");

/// Makes all tasks Ready, unless the key says that this was done before.
pub(super) async fn submit(
    db: Db<'_>,
    creator: UserId,
    rows: &[NewRow],
    key: Option<&IdempotencyKey>,
    now: Timestamp,
) -> Result<Submission, StoreError> {
    if let Some(key) = key
        && let Some(earlier) = reserve_key(db, creator, key, now).await?
    {
        return Ok(earlier);
    }
    let named: BTreeSet<Uuid> = rows.iter().flat_map(|row| row.needs.iter().copied()).collect();
    let named: Vec<Uuid> = named.into_iter().collect();
    crash::point("submit.task_rows:before");
    let ids = match rights::sees_all(db, creator, &named).await? {
        true => insert_all(db, creator, rows, now).await?,
        false => None,
    };
    crash::point("submit.task_rows:after");
    let Some(ids) = ids else {
        if let Some(key) = key {
            db.run_one(DELETE_KEY, &[&creator.0, &key.key]).await?;
        }
        return Ok(Submission::Denied);
    };
    if let Some(key) = key {
        note_ids(db, creator, key, &ids).await?;
    }
    crash::point("submit.commit:before");
    Ok(Submission::Accepted(ids))
}

/// Makes the key this transaction's own, or answers what it stands for already.
pub(super) async fn reserve_key(
    db: Db<'_>,
    creator: UserId,
    key: &IdempotencyKey,
    now: Timestamp,
) -> Result<Option<Submission>, StoreError> {
    let params: Params<'_> = &[&creator.0, &key.key, &key.digest.as_slice(), &now.unix_micros()];
    match db.run(RESERVE_KEY, params).await? {
        0 => find_earlier(db, creator, key).await.map(Some),
        _ => Ok(None),
    }
}

/// Notes what was handed out under the key.
pub(super) async fn note_ids(
    db: Db<'_>,
    creator: UserId,
    key: &IdempotencyKey,
    ids: &[TaskIds],
) -> Result<(), StoreError> {
    let handed_out: Vec<_> = ids.iter().map(|ids| (ids.uuid, ids.number)).collect();
    db.run_one(NOTE_IDS, &[&creator.0, &key.key, &Json(&handed_out)]).await
}

async fn find_earlier(db: Db<'_>, creator: UserId, key: &IdempotencyKey) -> Result<Submission, StoreError> {
    db.one(FIND_SUBMISSION, &[&creator.0, &key.key], |row| {
        if row.value::<Vec<u8>>("digest")? != key.digest {
            return Ok(Submission::KeyReused);
        }
        let ids: Vec<(Uuid, i64)> = row.json("ids")?;
        Ok(Submission::Replayed(ids.into_iter().map(|(uuid, number)| TaskIds { uuid, number }).collect()))
    })
    .await
}

async fn insert_all(
    db: Db<'_>,
    creator: UserId,
    rows: &[NewRow],
    now: Timestamp,
) -> Result<Option<Vec<TaskIds>>, StoreError> {
    let Some(mut numbers) = reserve_numbers(db, creator, rows).await? else { return Ok(None) };
    let mut next_number = |group: GroupId| {
        let next = numbers.get_mut(&group).expect("every group of the batch has numbers");
        *next += 1;
        *next - 1
    };
    let numbers: Vec<i64> = rows.iter().map(|row| next_number(row.group)).collect();
    insert_ready(db, creator, rows, &numbers, now).await?;
    Ok(Some(rows.iter().zip(numbers).map(|(row, number)| TaskIds { uuid: row.uuid, number }).collect()))
}

/// Takes all numbers of a group at once; answers the first of each, or nothing when the creator may not
/// submit to one. Groups in order, so that two submissions to the same ones never wait for each other in a
/// circle.
async fn reserve_numbers(
    db: Db<'_>,
    creator: UserId,
    rows: &[NewRow],
) -> Result<Option<BTreeMap<GroupId, i64>>, StoreError> {
    let mut counts: BTreeMap<GroupId, i64> = BTreeMap::new();
    for row in rows {
        *counts.entry(row.group).or_default() += 1;
    }
    let mut first = BTreeMap::new();
    for (group, count) in counts {
        let Some(number) = take_numbers(db, creator, group, count).await? else { return Ok(None) };
        first.insert(group, number);
    }
    Ok(Some(first))
}
