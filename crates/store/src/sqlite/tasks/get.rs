//! Reading a task from its rows.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_domain::task::{Attempt, Ending, Phase, Task};
use mitosis_protocol::TaskResult;
use rusqlite::{Connection, Row};
use uuid::Uuid;

use super::super::error::Corrupt;
use super::super::row::{Columns, Run};
use crate::StoreError;

/// A task with where it stands. `CROSS JOIN` keeps SQLite from starting anywhere but at the task.
macro_rules! select_task {
    () => {
        "SELECT t.id, t.uuid, t.group_id, g.name AS group_name, t.number, u.username AS creator,
            s.tags, t.labels, t.timeout_seconds, t.priority, t.spec, t.created_at,
            -- Claims, reports, requeues and ends leave the wide row alone; the latest of all counts.
            max(t.updated_at, coalesce(r.queued_at, 0), coalesce(l.updated_at, 0), coalesce(d.finished_at, 0))
                AS updated_at,
            t.upstream_uuid, t.downstream_uuid, t.repeats_uuid,
            p.task_id AS is_pending, r.task_id AS is_ready,
            w.uuid AS holder, l.epoch, l.claimed_at, l.reported_end,
            d.state AS ended_as, d.exit_status, d.message, d.warnings, d.reporter_uuid, d.finished_at
        FROM task t
        CROSS JOIN groups g ON g.id = t.group_id
        CROSS JOIN users u ON u.id = t.creator_id
        CROSS JOIN lane n ON n.id = t.lane_id
        CROSS JOIN tag_set s ON s.id = n.tag_set_id
        LEFT JOIN pending p ON p.task_id = t.id
        LEFT JOIN ready r ON r.task_id = t.id
        LEFT JOIN lease l ON l.task_id = t.id
        LEFT JOIN worker w ON w.id = l.worker_id
        LEFT JOIN done d ON d.task_id = t.id "
    };
}

const TASK_BY_UUID: &str = concat!(select_task!(), "WHERE t.uuid = ?1");

const TASK_BY_ID: &str = concat!(select_task!(), "WHERE t.id = ?1");

/// The task of that UUID.
pub(in super::super) fn by_uuid(db: &Connection, uuid: Uuid) -> Result<Option<Task>, StoreError> {
    db.optional(TASK_BY_UUID, [uuid.as_bytes()], read)
}

/// The tasks of these UUIDs, newest first.
pub(super) fn by_uuids(db: &Connection, uuids: &[Uuid]) -> Result<Vec<Task>, StoreError> {
    let mut tasks = Vec::new();
    for uuid in uuids.iter().collect::<BTreeSet<_>>() {
        tasks.extend(by_uuid(db, *uuid)?);
    }
    tasks.sort_unstable_by_key(|task| Reverse(task.id));
    Ok(tasks)
}

/// The task of an id that the database itself gave.
pub(in super::super) fn by_id(db: &Connection, id: TaskId) -> Result<Task, StoreError> {
    db.one(TASK_BY_ID, [id.0], read)
}

const ID_OF_TASK: &str = "SELECT id FROM task WHERE uuid = ?1";

/// The id of the task of that UUID.
pub(in super::super) fn id_of(db: &Connection, uuid: Uuid) -> Result<Option<TaskId>, StoreError> {
    db.optional(ID_OF_TASK, [uuid.as_bytes()], |row| Ok(TaskId(row.get(0)?)))
}

fn read(row: &Row<'_>) -> Result<Task, StoreError> {
    Ok(Task {
        id: TaskId(row.value("id")?),
        uuid: row.uuid("uuid")?,
        group: GroupId(row.value("group_id")?),
        group_name: row.value("group_name")?,
        number: row.value("number")?,
        creator: row.value("creator")?,
        tags: row.words("tags")?,
        labels: row.words("labels")?,
        timeout_seconds: row.value("timeout_seconds")?,
        priority: row.value("priority")?,
        spec: row.json("spec")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        upstream: row.optional_uuid("upstream_uuid")?,
        downstream: row.optional_uuid("downstream_uuid")?,
        repeats: row.optional_uuid("repeats_uuid")?,
        phase: read_phase(row)?,
    })
}

fn read_phase(row: &Row<'_>) -> Result<Phase, StoreError> {
    if let Some(end) = row.optional_code("ended_as")? {
        return Ok(Phase::Ended(Ending {
            end,
            result: TaskResult { exit_status: row.value("exit_status")?, msg: row.optional_code("message")? },
            warnings: row.warnings("warnings")?,
            reporter: row.optional_uuid("reporter_uuid")?,
            at: row.time("finished_at")?,
        }));
    }
    if let Some(worker) = row.optional_uuid("holder")? {
        let attempt = Attempt { worker, epoch: row.value("epoch")?, claimed_at: row.time("claimed_at")? };
        return Ok(match row.optional_code("reported_end")? {
            Some(end) => Phase::Reported(attempt, end),
            None => Phase::Running(attempt),
        });
    }
    if row.value::<Option<i64>>("is_ready")?.is_some() {
        return Ok(Phase::Ready);
    }
    if row.value::<Option<i64>>("is_pending")?.is_some() {
        return Ok(Phase::Pending);
    }
    Err(Corrupt::NoPhase(row.value("id")?).into())
}
