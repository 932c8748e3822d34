//! Accepting tasks, all or none.

use std::collections::HashMap;

use mitosis_domain::crash;
use mitosis_domain::ids::{GroupId, UserId};
use mitosis_protocol::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::rights;
use super::super::row::{Columns, Run, to_json};
use super::insert::{self, NewRow, Origin, insert_ready, take_numbers};
use super::intern::Interned;
use crate::StoreError;
use crate::ops::tasks::{IdempotencyKey, Submission, TaskIds};

const FIND_SUBMISSION: &str = "SELECT digest, ids FROM submission WHERE creator_id = ?1 AND key = ?2";

const NOTE_SUBMISSION: &str = "
    INSERT INTO submission (creator_id, key, digest, ids, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";

/// Makes all tasks Ready, unless the key says that this was done before.
pub(super) fn submit(
    db: &Connection,
    creator: UserId,
    rows: &[NewRow],
    key: Option<&IdempotencyKey>,
    now: Timestamp,
) -> Result<Submission, StoreError> {
    if let Some(key) = key
        && let Some(earlier) = find_earlier(db, creator, key)?
    {
        return Ok(earlier);
    }
    if !rights::sees_all(db, creator, rows.iter().flat_map(|row| &row.needs))? {
        return Ok(Submission::Denied);
    }
    crash::point("submit.task_rows:before");
    let Some(ids) = insert_all(db, creator, rows, now)? else { return Ok(Submission::Denied) };
    crash::point("submit.task_rows:after");
    if let Some(key) = key {
        note_submission(db, creator, key, &ids, now)?;
    }
    crash::point("submit.commit:before");
    Ok(Submission::Accepted(ids))
}

/// Notes what was handed out under the key.
pub(super) fn note_submission(
    db: &Connection,
    creator: UserId,
    key: &IdempotencyKey,
    ids: &[TaskIds],
    now: Timestamp,
) -> Result<(), StoreError> {
    let handed_out: Vec<_> = ids.iter().map(|ids| (ids.uuid, ids.number)).collect();
    let handed_out = to_json(&handed_out)?;
    db.run_one(
        NOTE_SUBMISSION,
        params![creator.0, key.key, key.digest.as_slice(), handed_out, now.unix_micros()],
    )
}

/// What the key stands for, if it was used before.
pub(super) fn find_earlier(
    db: &Connection,
    creator: UserId,
    key: &IdempotencyKey,
) -> Result<Option<Submission>, StoreError> {
    db.optional(FIND_SUBMISSION, params![creator.0, key.key], |row| {
        if row.value::<Vec<u8>>("digest")? != key.digest {
            return Ok(Submission::KeyReused);
        }
        let ids: Vec<(Uuid, i64)> = row.json("ids")?;
        let ids = ids.into_iter().map(|(uuid, number)| TaskIds { uuid, number }).collect();
        Ok(Submission::Replayed(ids))
    })
}

fn insert_all(
    db: &Connection,
    creator: UserId,
    rows: &[NewRow],
    now: Timestamp,
) -> Result<Option<Vec<TaskIds>>, StoreError> {
    let Some(mut numbers) = reserve_numbers(db, creator, rows)? else { return Ok(None) };
    let mut interned = Interned::default();
    let mut ids = Vec::with_capacity(rows.len());
    for row in rows {
        let next = numbers.get_mut(&row.group).expect("every group of the batch has numbers");
        let number = *next;
        *next += 1;
        let origin = Origin { creator, number, upstream: None };
        let (task, lane) = insert::insert(db, &mut interned, row, origin, now)?;
        insert_ready(db, lane, row.priority, task, now)?;
        ids.push(TaskIds { uuid: row.uuid, number });
    }
    Ok(Some(ids))
}

/// Takes all numbers of a group at once; answers the first of each, or nothing when the creator may not
/// submit to one.
fn reserve_numbers(
    db: &Connection,
    creator: UserId,
    rows: &[NewRow],
) -> Result<Option<HashMap<GroupId, i64>>, StoreError> {
    let mut counts: HashMap<GroupId, i64> = HashMap::new();
    for row in rows {
        *counts.entry(row.group).or_default() += 1;
    }
    let first = counts
        .into_iter()
        .map(|(group, count)| Ok(take_numbers(db, creator, group, count)?.map(|number| (group, number))));
    first.collect()
}
