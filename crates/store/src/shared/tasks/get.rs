//! Reading of tasks.

use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_domain::task::{Attempt, Ending, Phase, Task};
use mitosis_protocol::Epoch;
use uuid::Uuid;

use crate::StoreError;
use crate::db::{Db, List, Row, Sql, sql};
use crate::error::Corrupt;

/// A task with its state.
macro_rules! select_task {
    () => {
        "SELECT t.id, t.uuid, t.group_id, g.name AS group_name, t.number, u.username AS creator,
            s.tags, t.labels, t.timeout_seconds, t.priority, t.spec, t.created_at,
            -- Claims, reports, requeues and ends don't update the wide row, so the latest of all times counts.
            greatest(t.updated_at, coalesce(r.queued_at, 0), coalesce(l.updated_at, 0), coalesce(d.finished_at, 0))
                AS updated_at,
            t.upstream_uuid, t.downstream_uuid, t.repeats_uuid,
            coalesce(l.epoch, d.epoch, r.epoch, 0) AS attempt,
            p.task_id AS is_pending, r.task_id AS is_ready, r.blocked,
            w.uuid AS holder, l.epoch, l.claimed_at, l.reported_end,
            d.state AS ended_as, d.exit_status, d.message, d.warnings, d.reporter_uuid, d.finished_at
        FROM task t
        INNER JOIN groups g ON g.id = t.group_id
        INNER JOIN users u ON u.id = t.creator_id
        INNER JOIN lane n ON n.id = t.lane_id
        INNER JOIN tag_set s ON s.id = n.tag_set_id
        LEFT JOIN pending p ON p.task_id = t.id
        LEFT JOIN ready r ON r.task_id = t.id
        LEFT JOIN lease l ON l.task_id = t.id
        LEFT JOIN worker w ON w.id = l.worker_id
        LEFT JOIN done d ON d.task_id = t.id "
    };
}

const TASK_BY_UUID: Sql = sql!(concat!(select_task!(), "WHERE t.uuid = $1"));

const TASK_BY_ID: Sql = sql!(concat!(select_task!(), "WHERE t.id = $1"));

const TASKS_BY_UUIDS: Sql =
    sql!(concat!(select_task!(), "WHERE t.uuid = ANY($1::uuid[]) ORDER BY t.id DESC"));

const TASKS_BY_IDS: Sql = sql!(concat!(select_task!(), "WHERE t.id = ANY($1) ORDER BY t.id DESC"));

/// The task with this UUID.
pub(crate) async fn by_uuid(db: Db<'_>, uuid: Uuid) -> Result<Option<Task>, StoreError> {
    db.optional(TASK_BY_UUID, &[&uuid], read).await
}

/// The tasks with these UUIDs, newest first.
pub(super) async fn by_uuids(db: Db<'_>, uuids: &[Uuid]) -> Result<Vec<Task>, StoreError> {
    db.all(TASKS_BY_UUIDS, &[&List(uuids)], read).await
}

/// The task with this id, which must exist.
pub(crate) async fn by_id(db: Db<'_>, id: TaskId) -> Result<Task, StoreError> {
    db.one(TASK_BY_ID, &[&id.0], read).await
}

/// The tasks with these ids, newest first.
pub(crate) async fn by_ids(db: Db<'_>, ids: &[i64]) -> Result<Vec<Task>, StoreError> {
    db.all(TASKS_BY_IDS, &[&List(ids)], read).await
}

fn read(row: &Row<'_>) -> Result<Task, StoreError> {
    Ok(Task {
        id: TaskId(row.value("id")?),
        uuid: row.value("uuid")?,
        group: GroupId(row.value("group_id")?),
        group_name: row.value("group_name")?,
        number: row.value("number")?,
        creator: row.value("creator")?,
        tags: row.tag_set("tags")?,
        labels: row.tag_set("labels")?,
        timeout: row.timeout("timeout_seconds")?,
        priority: row.value("priority")?,
        spec: row.json("spec")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        upstream: row.value("upstream_uuid")?,
        downstream: row.value("downstream_uuid")?,
        repeats: row.value("repeats_uuid")?,
        attempt: Epoch(row.value("attempt")?),
        phase: read_phase(row)?,
    })
}

fn read_phase(row: &Row<'_>) -> Result<Phase, StoreError> {
    if let Some(end) = row.optional_code("ended_as")? {
        return Ok(Phase::Ended(Ending {
            end,
            result: row.result()?,
            warnings: row.warnings("warnings")?,
            reporter: row.value("reporter_uuid")?,
            at: row.time("finished_at")?,
        }));
    }
    if let Some(worker) = row.value("holder")? {
        let attempt =
            Attempt { worker, epoch: Epoch(row.value("epoch")?), claimed_at: row.time("claimed_at")? };
        return Ok(match row.optional_code("reported_end")? {
            Some(end) => Phase::Reported(attempt, end),
            None => Phase::Running(attempt),
        });
    }
    if row.value::<Option<i64>>("is_ready")?.is_some() {
        let blocked: Option<i64> = row.value("blocked")?;
        return Ok(if blocked == Some(0) { Phase::Ready } else { Phase::Pending });
    }
    if row.value::<Option<i64>>("is_pending")?.is_some() {
        return Ok(Phase::Pending);
    }
    Err(Corrupt::NoPhase(row.value("id")?).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_the_task() {
        assert_searches(TASK_BY_UUID, &["t", "g", "u", "n", "s", "p", "r", "l", "w", "d"]);
        assert_searches(TASK_BY_ID, &["t", "g", "u", "n", "s", "p", "r", "l", "w", "d"]);
        assert_searches(TASKS_BY_UUIDS, &["t", "g", "u", "n", "s", "p", "r", "l", "w", "d"]);
        assert_searches(TASKS_BY_IDS, &["t", "g", "u", "n", "s", "p", "r", "l", "w", "d"]);
    }
}
