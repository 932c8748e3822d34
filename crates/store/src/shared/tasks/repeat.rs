//! Repetition of ended tasks.

use std::collections::{BTreeMap, HashMap};

use mitosis_domain::ids::{GroupId, LaneId, UserId};
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::insert::{Drawn, draw_numbers};
use super::intern;
use super::submit::{self, Reserved};
use crate::db::{Db, List, Params, Sql, sql};
use crate::enum_codes::Code;
use crate::ops::sweeps::{Repeat, RepeatMode, Repeated, Repetition};
use crate::ops::tasks::{IdempotencyKey, TaskIds};
use crate::ops::{Changed, Effects};
use crate::{StoreError, postgres, sqlite};

/// Locks the originals. A second repetition of a task waits here until the first one is committed, and a task
/// can't be deleted while it is copied. The order prevents deadlocks.
const LOCK_ORIGINALS: &str = "SELECT 1 FROM task WHERE uuid = ANY($1) ORDER BY id FOR NO KEY UPDATE";

const FIND_REPEATABLE: Sql = sql!(
    "
    SELECT t.id, t.uuid, t.group_id, t.lane_id, t.creator_id, t.priority
    FROM task t INNER JOIN done d ON d.task_id = t.id
    WHERE t.uuid = ANY($1::uuid[]) AND ($2 OR NOT EXISTS (SELECT 1 FROM task r WHERE r.repeats_uuid = t.uuid))
      AND EXISTS (SELECT 1 FROM membership m
                  WHERE m.group_id = t.group_id AND m.user_id = $3 AND m.role >= $4)
      -- The new creator may see all tasks that it refers to.
      AND NOT EXISTS (
          SELECT 1 FROM task_need n JOIN task needed ON needed.uuid = n.needed_uuid
          WHERE n.task_id = t.id
            AND NOT EXISTS (SELECT 1 FROM membership m
                            WHERE m.group_id = needed.group_id AND m.user_id = $3))
    ORDER BY t.id"
);

struct Original {
    id: i64,
    uuid: Uuid,
    group: GroupId,
    creator: UserId,
    lane: i64,
    priority: i32,
}

/// An original, with what its repetition does not copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copied {
    pub(crate) original: i64,
    pub(crate) lane: LaneId,
    pub(crate) priority: i32,
}

/// Inserts the repetitions as Ready, unless the key was used before.
pub(super) async fn repeat(
    db: Db<'_>,
    creator: UserId,
    repeats: &[Repeat],
    mode: RepeatMode,
    key: Option<&IdempotencyKey>,
    now: Timestamp,
) -> Result<Changed<Repetition>, StoreError> {
    if let Some(key) = key {
        match submit::reserve_key(db, creator, key, now).await? {
            Reserved::New => {}
            Reserved::Earlier(ids) => {
                let ids = ids.into_iter().flatten().collect();
                return Ok(Changed::nothing(Repetition::Replayed(find_repeated(db, ids).await?)));
            }
            Reserved::ForOther => return Ok(Changed::nothing(Repetition::KeyReused)),
        }
    }
    let repeated = repeat_all(db, creator, repeats, mode, now).await?;
    if let Some(key) = key {
        let ids: Vec<_> = repeated.iter().map(|repeated| Some(repeated.ids)).collect();
        submit::store_ids(db, creator, key, &ids).await?;
    }
    let effects = Effects { ready: !repeated.is_empty(), ..Effects::default() };
    Ok(effects.with(Repetition::Accepted(repeated)))
}

async fn repeat_all(
    db: Db<'_>,
    creator: UserId,
    repeats: &[Repeat],
    mode: RepeatMode,
    now: Timestamp,
) -> Result<Vec<Repeated>, StoreError> {
    let wanted: HashMap<Uuid, Uuid> = repeats.iter().map(|repeat| (repeat.of, repeat.uuid)).collect();
    let asked: Vec<Uuid> = wanted.keys().copied().collect();
    db.lock(LOCK_ORIGINALS, &[&List(&asked)]).await?;
    let least = Action::Submit.least_role().code();
    let params: Params<'_> = &[&List(&asked), &(mode == RepeatMode::Again), &creator.0, &least];
    let mut originals: Vec<Original> = db
        .all(FIND_REPEATABLE, params, |row| {
            Ok(Original {
                id: row.value("id")?,
                uuid: row.value("uuid")?,
                group: GroupId(row.value("group_id")?),
                creator: UserId(row.value("creator_id")?),
                lane: row.value("lane_id")?,
                priority: row.value("priority")?,
            })
        })
        .await?;
    let mut numbers = reserve_numbers(db, creator, &originals).await?;
    originals.retain(|original| numbers.contains_key(&original.group));
    for original in &mut originals {
        original.priority = numbers[&original.group].clamp(original.priority);
    }
    let mut next_number = |group: GroupId| numbers.get_mut(&group).expect("every group has numbers").next();
    let repeated: Vec<Repeated> = originals
        .iter()
        .map(|original| Repeated {
            of: original.uuid,
            ids: TaskIds { uuid: wanted[&original.uuid], number: next_number(original.group) },
        })
        .collect();
    insert(db, creator, &originals, &repeated, now).await?;
    Ok(repeated)
}

/// Draws numbers for the repetitions; none in a group that is being deleted.
async fn reserve_numbers(
    db: Db<'_>,
    creator: UserId,
    originals: &[Original],
) -> Result<BTreeMap<GroupId, Drawn>, StoreError> {
    let mut counts: BTreeMap<GroupId, i64> = BTreeMap::new();
    for original in originals {
        *counts.entry(original.group).or_default() += 1;
    }
    let mut first = BTreeMap::new();
    for (group, count) in counts {
        first.extend(draw_numbers(db, creator, group, count).await?.map(|number| (group, number)));
    }
    Ok(first)
}

/// Inserts the repetitions of the tasks, in the same order. Everything but id, time and creator is copied from
/// the original.
async fn insert(
    db: Db<'_>,
    creator: UserId,
    originals: &[Original],
    repeated: &[Repeated],
    now: Timestamp,
) -> Result<(), StoreError> {
    let new: Vec<TaskIds> = repeated.iter().map(|repeated| repeated.ids).collect();
    let of = lanes_for(db, creator, originals).await?;
    match db {
        Db::Postgres(db) => postgres::tasks::repeat::insert(db, creator, &of, &new, now).await,
        Db::Sqlite(db) => sqlite::tasks::repeat::insert(db, creator, &of, &new, now),
    }
}

/// The originals, each with the lane of its repetition: that of the original, or one like it for another creator.
async fn lanes_for(db: Db<'_>, creator: UserId, originals: &[Original]) -> Result<Vec<Copied>, StoreError> {
    let (mut lanes, mut of) = (HashMap::new(), Vec::with_capacity(originals.len()));
    for original in originals {
        let lane = match lanes.get(&original.lane) {
            Some(lane) => *lane,
            None if original.creator == creator => LaneId(original.lane),
            None => intern::Lane::read(db, original.lane).await?.of(creator).id(db).await?,
        };
        lanes.insert(original.lane, lane);
        of.push(Copied { original: original.id, lane, priority: original.priority });
    }
    Ok(of)
}

const FIND_REPEATED: Sql = sql!("SELECT uuid, repeats_uuid FROM task WHERE uuid = ANY($1::uuid[])");

/// The originals of earlier repetitions.
async fn find_repeated(db: Db<'_>, ids: Vec<TaskIds>) -> Result<Vec<Repeated>, StoreError> {
    let uuids: Vec<Uuid> = ids.iter().map(|ids| ids.uuid).collect();
    let originals: HashMap<Uuid, Uuid> = db
        .all(FIND_REPEATED, &[&List(&uuids)], |row| Ok((row.value("uuid")?, row.value("repeats_uuid")?)))
        .await?;
    Ok(ids
        .into_iter()
        .filter_map(|ids| originals.get(&ids.uuid).map(|of| Repeated { of: *of, ids }))
        .collect())
}
