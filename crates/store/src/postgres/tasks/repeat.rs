//! Submitting tasks again that are over.

use std::collections::{BTreeMap, HashMap};

use mitosis_domain::ids::{GroupId, UserId};
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::super::row::{self, Columns, Db};
use super::insert::{take_ids, take_numbers};
use super::submit;
use crate::StoreError;
use crate::code::Code;
use crate::ops::sweeps::{Repeat, Repeated, Repetition};
use crate::ops::tasks::{IdempotencyKey, Submission, TaskIds};

/// Two repetitions of one task meet here: the second looks after the first has been committed. Nor is a task
/// forgotten while it is copied. In order, so that they never wait for each other in a circle.
const LOCK_ORIGINALS: &str = "SELECT 1 FROM task WHERE uuid = ANY($1) ORDER BY id FOR NO KEY UPDATE";

const FIND_REPEATABLE: &str = "
    SELECT t.id, t.uuid, t.group_id
    FROM task t JOIN done d ON d.task_id = t.id
    WHERE t.uuid = ANY($1) AND ($2 OR NOT EXISTS (SELECT 1 FROM task r WHERE r.repeats_uuid = t.uuid))
      AND EXISTS (SELECT 1 FROM membership m
                  WHERE m.group_id = t.group_id AND m.user_id = $3 AND m.role >= $4)
      -- names nothing that the new creator may not see
      AND NOT EXISTS (
          SELECT 1 FROM task_need n JOIN task needed ON needed.uuid = n.needed_uuid
          WHERE n.task_id = t.id
            AND NOT EXISTS (SELECT 1 FROM membership m
                            WHERE m.group_id = needed.group_id AND m.user_id = $3))
    ORDER BY t.id";

/// Everything but identity, time and creator is that of the original.
const INSERT_TASKS: &str = "
    INSERT INTO task (id, uuid, group_id, number, creator_id, lane_id, priority, labels, spec,
                      timeout_seconds, created_at, updated_at, repeats_uuid, lost_after)
    SELECT new.id, new.uuid, t.group_id, new.number, $5, t.lane_id, t.priority, t.labels, t.spec,
           t.timeout_seconds, $6, $6, t.uuid, t.lost_after
    FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[]) AS new (id, uuid, number, original)
    JOIN task t ON t.id = new.original";

const INSERT_TASK_LABELS: &str = "
    INSERT INTO task_label (label_id, task_id)
    SELECT l.label_id, new.id
    FROM unnest($1::bigint[], $2::bigint[]) AS new (id, original)
    JOIN task_label l ON l.task_id = new.original";

const INSERT_TASK_NEEDS: &str = "
    INSERT INTO task_need (needed_uuid, task_id)
    SELECT n.needed_uuid, new.id
    FROM unnest($1::bigint[], $2::bigint[]) AS new (id, original)
    JOIN task_need n ON n.task_id = new.original";

/// The place in line is that of `code::neg_priority`.
const INSERT_READY: &str = "
    INSERT INTO ready (lane_id, neg_priority, task_id, epoch, losses, queued_at)
    SELECT lane_id, ~priority, id, 0, 0, $2 FROM task WHERE id = ANY($1)";

struct Original {
    id: i64,
    uuid: Uuid,
    group: GroupId,
}

/// Makes the repetitions Ready, unless the key says that this was done before.
pub(super) async fn repeat(
    tx: &impl Db,
    creator: UserId,
    repeats: &[Repeat],
    again: bool,
    key: Option<&IdempotencyKey>,
    now: Timestamp,
) -> Result<Repetition, StoreError> {
    if let Some(key) = key
        && let Some(earlier) = submit::reserve_key(tx, creator, key, now).await?
    {
        return match earlier {
            Submission::Accepted(ids) | Submission::Replayed(ids) => {
                Ok(Repetition::Replayed(find_repeated(tx, ids).await?))
            }
            Submission::KeyReused | Submission::Denied => Ok(Repetition::KeyReused),
        };
    }
    let repeated = repeat_all(tx, creator, repeats, again, now).await?;
    if let Some(key) = key {
        let ids: Vec<TaskIds> = repeated.iter().map(|repeated| repeated.ids).collect();
        submit::note_ids(tx, creator, key, &ids).await?;
    }
    Ok(Repetition::Accepted(repeated))
}

async fn repeat_all(
    tx: &impl Db,
    creator: UserId,
    repeats: &[Repeat],
    again: bool,
    now: Timestamp,
) -> Result<Vec<Repeated>, StoreError> {
    let wanted: HashMap<Uuid, Uuid> = repeats.iter().map(|repeat| (repeat.of, repeat.uuid)).collect();
    let asked: Vec<Uuid> = wanted.keys().copied().collect();
    row::run(tx, LOCK_ORIGINALS, &[&asked]).await?;
    let least = Action::Submit.least_role().code();
    let params: row::Params<'_> = &[&asked, &again, &creator.0, &least];
    let mut originals: Vec<Original> = row::all(tx, FIND_REPEATABLE, params, |row| {
        Ok(Original {
            id: row.value("id")?,
            uuid: row.value("uuid")?,
            group: GroupId(row.value("group_id")?),
        })
    })
    .await?;
    let mut numbers = reserve_numbers(tx, creator, &originals).await?;
    originals.retain(|original| numbers.contains_key(&original.group));
    let ids = take_ids(tx, originals.len()).await?;
    let mut next_number = |group: GroupId| {
        let next = numbers.get_mut(&group).expect("every group has numbers");
        *next += 1;
        *next - 1
    };
    let repeated: Vec<Repeated> = originals
        .iter()
        .map(|original| Repeated {
            of: original.uuid,
            ids: TaskIds { uuid: wanted[&original.uuid], number: next_number(original.group) },
        })
        .collect();
    insert(tx, creator, &originals, &ids, &repeated, now).await?;
    Ok(repeated)
}

/// A group that is being deleted gives none.
async fn reserve_numbers(
    tx: &impl Db,
    creator: UserId,
    originals: &[Original],
) -> Result<BTreeMap<GroupId, i64>, StoreError> {
    let mut counts: BTreeMap<GroupId, i64> = BTreeMap::new();
    for original in originals {
        *counts.entry(original.group).or_default() += 1;
    }
    let mut first = BTreeMap::new();
    for (group, count) in counts {
        first.extend(take_numbers(tx, creator, group, count).await?.map(|number| (group, number)));
    }
    Ok(first)
}

async fn insert(
    tx: &impl Db,
    creator: UserId,
    originals: &[Original],
    ids: &[i64],
    repeated: &[Repeated],
    now: Timestamp,
) -> Result<(), StoreError> {
    if originals.is_empty() {
        return Ok(());
    }
    let uuids: Vec<Uuid> = repeated.iter().map(|repeated| repeated.ids.uuid).collect();
    let numbers: Vec<i64> = repeated.iter().map(|repeated| repeated.ids.number).collect();
    let of: Vec<i64> = originals.iter().map(|original| original.id).collect();
    let now = now.unix_micros();
    row::run(tx, INSERT_TASKS, &[&ids, &uuids, &numbers, &of, &creator.0, &now]).await?;
    row::run(tx, INSERT_TASK_LABELS, &[&ids, &of]).await?;
    row::run(tx, INSERT_TASK_NEEDS, &[&ids, &of]).await?;
    row::run(tx, INSERT_READY, &[&ids, &now]).await?;
    Ok(())
}

const FIND_REPEATED: &str = "SELECT uuid, repeats_uuid FROM task WHERE uuid = ANY($1)";

/// What earlier repetitions repeat.
async fn find_repeated(tx: &impl Db, ids: Vec<TaskIds>) -> Result<Vec<Repeated>, StoreError> {
    let uuids: Vec<Uuid> = ids.iter().map(|ids| ids.uuid).collect();
    let originals: HashMap<Uuid, Uuid> =
        row::all(tx, FIND_REPEATED, &[&uuids], |row| Ok((row.value("uuid")?, row.value("repeats_uuid")?)))
            .await?;
    Ok(ids
        .into_iter()
        .filter_map(|ids| originals.get(&ids.uuid).map(|of| Repeated { of: *of, ids }))
        .collect())
}
