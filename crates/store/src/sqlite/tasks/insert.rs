//! Insertion of tasks, one at a time with prepared statements.

use std::collections::BTreeSet;

use mitosis_domain::ids::TaskId;
use mitosis_protocol::Timestamp;
use rusqlite::params;
use uuid::Uuid;

use super::intern::Interned;
use crate::StoreError;
use crate::enum_codes::neg_priority;
use crate::shared::tasks::insert::{NewRow, Origin, Placed, Slot};
use crate::sqlite::connection::Connection;

const INSERT_TASK: &str = "
    INSERT INTO task (uuid, group_id, number, creator_id, lane_id, priority, labels, spec,
                      timeout_seconds, created_at, updated_at, upstream_uuid, lost_after, id, job_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12, ?13, ?14)";

pub(crate) const INSERT_TASK_LABEL: &str = "INSERT INTO task_label (label_id, task_id) VALUES (?1, ?2)";

/// Inserts tasks with their labels and references.
pub(crate) fn insert(
    db: &Connection,
    origin: Origin,
    rows: &[NewRow],
    slots: &[Slot],
    now: Timestamp,
) -> Result<Vec<Placed>, StoreError> {
    let mut interned = Interned::default();
    let one = |(row, slot): (&NewRow, &Slot)| insert_one(db, &mut interned, origin, row, *slot, now);
    rows.iter().zip(slots).map(one).collect()
}

fn insert_one(
    db: &Connection,
    interned: &mut Interned,
    origin: Origin,
    row: &NewRow,
    slot: Slot,
    now: Timestamp,
) -> Result<Placed, StoreError> {
    let lane = interned.lane(db, row.lane_key(origin.creator, slot.limits))?;
    let id = db.insert(
        INSERT_TASK,
        params![
            row.uuid,
            row.group.0,
            slot.number,
            origin.creator.0,
            lane.0,
            row.priority,
            &*row.labels_json,
            &*row.spec,
            row.timeout.as_secs(),
            now.unix_micros(),
            origin.upstream,
            row.silence_limit,
            slot.reserved.map(|(task, _)| task.0),
            slot.job(),
        ],
    )?;
    insert_references(db, id, &row.references)?;
    for label in row.labels.iter() {
        let label = interned.label(db, row.group, label)?;
        db.run_one(INSERT_TASK_LABEL, [label, id])?;
    }
    Ok(Placed { task: TaskId(id), lane })
}

const INSERT_REFERENCE: &str = "INSERT INTO task_need (needed_uuid, task_id) VALUES (?1, ?2)";

pub(crate) fn insert_references(
    db: &Connection,
    task: i64,
    references: &BTreeSet<Uuid>,
) -> Result<(), StoreError> {
    for needed in references {
        db.run_one(INSERT_REFERENCE, params![needed, task])?;
    }
    Ok(())
}

const INSERT_READY: &str = "
    INSERT INTO ready (lane_id, neg_priority, task_id, epoch, losses, queued_at, held, blocked)
    VALUES (?1, ?2, ?3, 0, 0, ?4, ?5, ?6)";

/// Inserts new tasks into the queue.
pub(crate) fn insert_ready(
    db: &Connection,
    rows: &[NewRow],
    slots: &[Slot],
    placed: &[Placed],
    now: Timestamp,
) -> Result<(), StoreError> {
    rows.iter().zip(slots).zip(placed).try_for_each(|((row, slot), Placed { task, lane })| {
        let place = neg_priority(row.priority);
        let params = params![lane.0, place, task.0, now.unix_micros(), slot.held, slot.blocked];
        db.run_one(INSERT_READY, params)
    })
}

const LAST_ID: &str = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'task'";

const ADVANCE_IDS: &str = "UPDATE sqlite_sequence SET seq = seq + ?1 WHERE name = 'task'";

/// The table has no row before the first insertion.
const FIRST_IDS: &str = "INSERT INTO sqlite_sequence (name, seq) VALUES ('task', ?1)";

/// Reserves consecutive ids; returns the first.
pub(crate) fn reserve_ids(db: &Connection, count: i64) -> Result<i64, StoreError> {
    let last: i64 = db.one(LAST_ID, [], crate::db::only)?;
    if db.run(ADVANCE_IDS, [count])? == 0 {
        db.run_one(FIRST_IDS, [count])?;
    }
    Ok(last + 1)
}
