//! Submitting tasks again that are over.

use std::collections::{BTreeSet, HashMap};

use mitosis_domain::ids::{GroupId, UserId};
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::row::{Columns, Run};
use super::insert::{INSERT_TASK_LABEL, insert_needs, take_numbers};
use super::submit;
use crate::StoreError;
use crate::code::Code;
use crate::ops::sweeps::{Repeat, Repeated, Repetition};
use crate::ops::tasks::{IdempotencyKey, Submission, TaskIds};

const FIND_REPEATABLE: &str = "
    SELECT t.id, t.group_id
    FROM task t JOIN done d ON d.task_id = t.id
    WHERE t.uuid = ?1 AND (?2 OR NOT EXISTS (SELECT 1 FROM task r WHERE r.repeats_uuid = t.uuid))
      AND EXISTS (SELECT 1 FROM membership m
                  WHERE m.group_id = t.group_id AND m.user_id = ?3 AND m.role >= ?4)
      -- names nothing that the new creator may not see
      AND NOT EXISTS (
          SELECT 1 FROM task_need n CROSS JOIN task needed ON needed.uuid = n.needed_uuid
          WHERE n.task_id = t.id
            AND NOT EXISTS (SELECT 1 FROM membership m
                            WHERE m.group_id = needed.group_id AND m.user_id = ?3))";

/// Everything but identity, time and creator is that of the original.
///
/// One row of VALUES, here and below, and not INSERT … SELECT: that would have a statement journal, which
/// grows with the batch and is walked at the end of each statement.
const INSERT_TASK: &str = "
    INSERT INTO task (uuid, group_id, number, creator_id, lane_id, priority, labels, spec,
                      timeout_seconds, created_at, updated_at, repeats_uuid, lost_after)
    VALUES (?2, (SELECT group_id FROM task WHERE id = ?1), ?3, ?4, (SELECT lane_id FROM task WHERE id = ?1),
            (SELECT priority FROM task WHERE id = ?1), (SELECT labels FROM task WHERE id = ?1),
            (SELECT spec FROM task WHERE id = ?1), (SELECT timeout_seconds FROM task WHERE id = ?1),
            ?5, ?5, (SELECT uuid FROM task WHERE id = ?1), (SELECT lost_after FROM task WHERE id = ?1))";

const FIND_LABELS: &str = "SELECT label_id FROM task_label WHERE task_id = ?1";

const FIND_NEEDS: &str = "SELECT needed_uuid FROM task_need WHERE task_id = ?1";

/// The place in line is that of `code::neg_priority`.
const INSERT_READY: &str = "
    INSERT INTO ready (lane_id, neg_priority, task_id, epoch, losses, queued_at)
    VALUES ((SELECT lane_id FROM task WHERE id = ?1), (SELECT ~priority FROM task WHERE id = ?1), ?1, 0, 0, ?2)";

struct Original {
    id: i64,
    uuid: Uuid,
    group: GroupId,
}

/// Makes the repetitions Ready, unless the key says that this was done before.
pub(super) fn repeat(
    db: &Connection,
    creator: UserId,
    repeats: &[Repeat],
    again: bool,
    key: Option<&IdempotencyKey>,
    now: Timestamp,
) -> Result<Repetition, StoreError> {
    if let Some(key) = key
        && let Some(earlier) = submit::find_earlier(db, creator, key)?
    {
        return match earlier {
            Submission::Accepted(ids) | Submission::Replayed(ids) => {
                Ok(Repetition::Replayed(find_repeated(db, ids)?))
            }
            Submission::KeyReused | Submission::Denied => Ok(Repetition::KeyReused),
        };
    }
    let repeated = repeat_all(db, creator, repeats, again, now)?;
    if let Some(key) = key {
        let ids: Vec<TaskIds> = repeated.iter().map(|repeated| repeated.ids).collect();
        submit::note_submission(db, creator, key, &ids, now)?;
    }
    Ok(Repetition::Accepted(repeated))
}

fn repeat_all(
    db: &Connection,
    creator: UserId,
    repeats: &[Repeat],
    again: bool,
    now: Timestamp,
) -> Result<Vec<Repeated>, StoreError> {
    let wanted: HashMap<Uuid, Uuid> = repeats.iter().map(|repeat| (repeat.of, repeat.uuid)).collect();
    let mut originals = find_repeatable(db, creator, wanted.keys(), again)?;
    originals.sort_unstable_by_key(|original| original.id);
    let mut numbers = reserve_numbers(db, creator, &originals)?;
    originals.retain(|original| numbers.contains_key(&original.group));
    let mut repeated = Vec::with_capacity(originals.len());
    for original in &originals {
        let number = numbers.get_mut(&original.group).expect("every group has numbers");
        let ids = TaskIds { uuid: wanted[&original.uuid], number: *number };
        *number += 1;
        let now = now.unix_micros();
        let id =
            db.insert(INSERT_TASK, params![original.id, ids.uuid.as_bytes(), ids.number, creator.0, now])?;
        let labels: Vec<i64> = db.all(FIND_LABELS, [original.id], |row| row.value("label_id"))?;
        for label in labels {
            db.run_one(INSERT_TASK_LABEL, [label, id])?;
        }
        let needs: BTreeSet<Uuid> = db.all(FIND_NEEDS, [original.id], |row| row.uuid("needed_uuid"))?;
        insert_needs(db, id, &needs)?;
        db.run_one(INSERT_READY, [id, now])?;
        repeated.push(Repeated { of: original.uuid, ids });
    }
    Ok(repeated)
}

fn find_repeatable<'a>(
    db: &Connection,
    creator: UserId,
    asked: impl Iterator<Item = &'a Uuid>,
    again: bool,
) -> Result<Vec<Original>, StoreError> {
    let mut originals = Vec::new();
    for uuid in asked {
        let least = Action::Submit.least_role().code();
        let found =
            db.optional(FIND_REPEATABLE, params![uuid.as_bytes(), again, creator.0, least], |row| {
                Ok(Original { id: row.value("id")?, uuid: *uuid, group: GroupId(row.value("group_id")?) })
            })?;
        originals.extend(found);
    }
    Ok(originals)
}

/// A group that is deleted gives none.
fn reserve_numbers(
    db: &Connection,
    creator: UserId,
    originals: &[Original],
) -> Result<HashMap<GroupId, i64>, StoreError> {
    let mut counts: HashMap<GroupId, i64> = HashMap::new();
    for original in originals {
        *counts.entry(original.group).or_default() += 1;
    }
    let first = counts.into_iter().filter_map(|(group, count)| {
        take_numbers(db, creator, group, count).map(|number| Some((group, number?))).transpose()
    });
    first.collect()
}

const FIND_REPEATED: &str = "SELECT repeats_uuid FROM task WHERE uuid = ?1";

/// What earlier repetitions repeat.
fn find_repeated(db: &Connection, ids: Vec<TaskIds>) -> Result<Vec<Repeated>, StoreError> {
    let mut repeated = Vec::with_capacity(ids.len());
    for ids in ids {
        let of = db.optional(FIND_REPEATED, [ids.uuid.as_bytes()], |row| row.uuid("repeats_uuid"))?;
        repeated.extend(of.map(|of| Repeated { of, ids }));
    }
    Ok(repeated)
}
