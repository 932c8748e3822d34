//! Insertion of many tasks, thousands with one statement.

use mitosis_domain::ids::{GroupId, LaneId, TaskId};
use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::intern;
use crate::StoreError;
use crate::db::only;
use crate::enum_codes::neg_priority;
use crate::postgres::session::{Params, Session};
use crate::shared::tasks::insert::{LaneKey, NewRow, Origin, Placed, Slot};

/// The number of tasks per statement: large enough to hide the round trip, small enough to bound memory.
const BATCH_SIZE: usize = 5_000;

/// The ids may have gaps, since other transactions draw ids at the same time. The lock excludes [`RESERVE_IDS`]; its
/// number has no meaning.
const DRAW_IDS: &str = "
    WITH shared AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(7305790132211926))
    SELECT id FROM (SELECT nextval('task_id') AS id FROM shared, generate_series(1, $1)) AS drawn ORDER BY id";

const LOCK_IDS: &str = "SELECT pg_advisory_xact_lock(7305790132211926)";

/// Reads and sets the sequence in two steps, so that nothing else may draw ids meanwhile.
const RESERVE_IDS: &str = "SELECT setval('task_id', nextval('task_id') + $1::bigint - 1) - $1::bigint + 1";

/// Reserves consecutive ids; returns the first. The lock is held until the end of the transaction, so a single id is
/// drawn without it.
pub(crate) async fn reserve_ids(db: Session<'_>, count: i64) -> Result<i64, StoreError> {
    if count == 1 {
        return Ok(draw_ids(db, 1).await?[0]);
    }
    db.run(LOCK_IDS, &[]).await?;
    db.one(RESERVE_IDS, &[&count], only).await
}

/// Draws ids for tasks, in increasing order.
pub(crate) async fn draw_ids(db: Session<'_>, count: usize) -> Result<Vec<i64>, StoreError> {
    db.all(DRAW_IDS, &[&i32::try_from(count).unwrap_or(i32::MAX)], only).await
}

const INSERT_TASKS: &str = "
    INSERT INTO task (id, uuid, group_id, number, creator_id, lane_id, priority, labels, spec,
                      timeout_seconds, created_at, updated_at, upstream_uuid, lost_after, job_id)
    SELECT id, uuid, group_id, number, $10, lane_id, priority, labels::jsonb, spec::json,
           timeout_seconds, $11, $11, $12, lost_after, job_id
    FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::int[],
                $7::text[], $8::text[], $9::bigint[], $13::bigint[], $14::bigint[])
        AS new (id, uuid, group_id, number, lane_id, priority, labels, spec, timeout_seconds, lost_after, job_id)";

const INSERT_TASK_LABELS: &str = "
    INSERT INTO task_label (label_id, task_id) SELECT * FROM unnest($1::bigint[], $2::bigint[])";

/// Inserts tasks with their labels and references.
pub(crate) async fn insert(
    db: Session<'_>,
    origin: Origin,
    rows: &[NewRow],
    slots: &[Slot],
    now: Timestamp,
) -> Result<Vec<Placed>, StoreError> {
    let keys: Vec<LaneKey<'_>> =
        rows.iter().zip(slots).map(|(row, slot)| row.lane_key(origin.creator, slot.limits)).collect();
    let lanes = intern::lanes(db, &keys.iter().copied().collect()).await?;
    let ids = ids_of(db, slots).await?;
    let placed = |(key, id): (&LaneKey<'_>, i64)| Placed { task: TaskId(id), lane: LaneId(lanes[key]) };
    let placed: Vec<Placed> = keys.iter().zip(ids).map(placed).collect();
    for from in (0..rows.len()).step_by(BATCH_SIZE) {
        let some = from..rows.len().min(from + BATCH_SIZE);
        insert_batch(db, origin, &rows[some.clone()], &slots[some.clone()], &placed[some], now).await?;
    }
    Ok(placed)
}

/// The ids of new tasks: reserved ones, and new ones for the others.
async fn ids_of(db: Session<'_>, slots: &[Slot]) -> Result<Vec<i64>, StoreError> {
    let missing = slots.iter().filter(|slot| slot.reserved.is_none()).count();
    let drawn = if missing == 0 { Vec::new() } else { draw_ids(db, missing).await? };
    let mut drawn = drawn.into_iter();
    let id = |slot: &Slot| slot.reserved.map_or_else(|| drawn.next(), |(task, _)| Some(task.0));
    Ok(slots.iter().filter_map(id).collect())
}

async fn insert_batch(
    db: Session<'_>,
    origin: Origin,
    rows: &[NewRow],
    slots: &[Slot],
    placed: &[Placed],
    now: Timestamp,
) -> Result<(), StoreError> {
    let ids: Vec<i64> = placed.iter().map(|placed| placed.task.0).collect();
    let uuids: Vec<Uuid> = rows.iter().map(|row| row.uuid).collect();
    let groups: Vec<i64> = rows.iter().map(|row| row.group.0).collect();
    let numbers: Vec<i64> = slots.iter().map(|slot| slot.number).collect();
    let jobs: Vec<Option<i64>> = slots.iter().map(Slot::job).collect();
    let lanes: Vec<i64> = placed.iter().map(|placed| placed.lane.0).collect();
    let priorities: Vec<i32> = rows.iter().map(|row| row.priority).collect();
    let labels: Vec<&str> = rows.iter().map(|row| &*row.labels_json).collect();
    let specs: Vec<&str> = rows.iter().map(|row| &*row.spec).collect();
    let timeouts: Vec<i64> = rows.iter().map(|row| row.timeout.as_secs()).collect();
    let limits: Vec<Option<i64>> = rows.iter().map(|row| row.silence_limit).collect();
    let params: Params<'_> = &[
        &ids,
        &uuids,
        &groups,
        &numbers,
        &lanes,
        &priorities,
        &labels,
        &specs,
        &timeouts,
        &origin.creator.0,
        &now.unix_micros(),
        &origin.upstream,
        &limits,
        &jobs,
    ];
    db.run(INSERT_TASKS, params).await?;
    insert_references(db, rows, &ids).await?;
    insert_labels(db, rows, &ids).await
}

const INSERT_REFERENCES: &str = "
    INSERT INTO task_need (needed_uuid, task_id) SELECT * FROM unnest($1::uuid[], $2::bigint[])";

async fn insert_references(db: Session<'_>, rows: &[NewRow], ids: &[i64]) -> Result<(), StoreError> {
    let (needed, tasks): (Vec<Uuid>, Vec<i64>) =
        rows.iter().zip(ids).flat_map(|(row, id)| row.references.iter().map(|needed| (*needed, *id))).unzip();
    if !needed.is_empty() {
        db.run(INSERT_REFERENCES, &[&needed, &tasks]).await?;
    }
    Ok(())
}

async fn insert_labels(db: Session<'_>, rows: &[NewRow], ids: &[i64]) -> Result<(), StoreError> {
    let each: Vec<(GroupId, &str, i64)> = rows
        .iter()
        .zip(ids)
        .flat_map(|(row, id)| row.labels.iter().map(|label| (row.group, label.as_str(), *id)))
        .collect();
    let known = intern::labels(db, each.iter().map(|(group, label, _)| (*group, *label)).collect()).await?;
    let (labels, tasks): (Vec<i64>, Vec<i64>) =
        each.iter().map(|(group, label, id)| (known[&(*group, (*label).to_owned())], *id)).unzip();
    if !labels.is_empty() {
        db.run(INSERT_TASK_LABELS, &[&labels, &tasks]).await?;
    }
    Ok(())
}

const INSERT_READY: &str = "
    INSERT INTO ready (lane_id, neg_priority, task_id, epoch, losses, queued_at, held, blocked)
    SELECT lane_id, neg_priority, task_id, 0, 0, $4, held, blocked
    FROM unnest($1::bigint[], $2::int[], $3::bigint[], $5::boolean[], $6::bigint[])
        AS new (lane_id, neg_priority, task_id, held, blocked)";

/// Inserts new tasks into the queue.
pub(crate) async fn insert_ready(
    db: Session<'_>,
    rows: &[NewRow],
    slots: &[Slot],
    placed: &[Placed],
    now: Timestamp,
) -> Result<(), StoreError> {
    let chunks = rows.chunks(BATCH_SIZE).zip(slots.chunks(BATCH_SIZE)).zip(placed.chunks(BATCH_SIZE));
    for ((rows, slots), placed) in chunks {
        let lanes: Vec<i64> = placed.iter().map(|placed| placed.lane.0).collect();
        let places: Vec<i32> = rows.iter().map(|row| neg_priority(row.priority)).collect();
        let tasks: Vec<i64> = placed.iter().map(|placed| placed.task.0).collect();
        let held: Vec<bool> = slots.iter().map(|slot| slot.held).collect();
        let blocked: Vec<i64> = slots.iter().map(|slot| slot.blocked).collect();
        db.run(INSERT_READY, &[&lanes, &places, &tasks, &now.unix_micros(), &held, &blocked]).await?;
    }
    Ok(())
}
