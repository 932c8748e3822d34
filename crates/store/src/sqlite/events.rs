//! What changed lately.

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_protocol::events::TaskEvent;
use mitosis_protocol::{TaskResult, TaskState};
use rusqlite::{Row, params};

use super::SqliteStore;
use super::row::{Columns, Run, to_json};
use crate::StoreError;
use crate::code::row_count;
use crate::ops::events::{Change, ChangeQuery, Cursor, Events, Position};

#[async_trait]
impl Events for SqliteStore {
    async fn changes(
        &self,
        query: &ChangeQuery,
        after: Cursor,
        limit: u64,
    ) -> Result<Vec<Change>, StoreError> {
        let ids = |groups: &Vec<GroupId>| to_json(&groups.iter().map(|group| group.0).collect::<Vec<_>>());
        let (groups, label) = (ids(&query.groups)?, query.label.clone());
        self.read(move |db| {
            let (at, task) = (after.at.unix_micros(), after.task.0);
            db.all(CHANGES, params![groups, at, task, label, row_count(limit)], read)
        })
        .await
    }

    async fn positions(&self, after: Cursor, limit: u64) -> Result<Vec<Position>, StoreError> {
        self.read(move |db| {
            let params = params![after.at.unix_micros(), after.task.0, row_count(limit)];
            db.all(POSITIONS, params, read_position)
        })
        .await
    }

    async fn last_changes(&self, tasks: &[TaskId]) -> Result<Vec<Change>, StoreError> {
        let tasks = to_json(&tasks.iter().map(|task| task.0).collect::<Vec<_>>())?;
        self.read(move |db| db.all(LAST_CHANGES, params![tasks], read)).await
    }
}

/// Groups and tasks come as JSON arrays of ids.
const CHANGES: &str = "
    SELECT t.id, t.uuid, t.group_id, t.labels, g.name AS group_name, t.number, c.state, c.at, c.exit_status, c.message, c.warnings
    FROM (
        SELECT task_id, state, finished_at AS at, exit_status, message, warnings FROM done WHERE finished_at >= ?2
        UNION ALL
        SELECT task_id, coalesce(reported_end, 2), updated_at, NULL, NULL, NULL FROM lease WHERE updated_at >= ?2
        UNION ALL
        SELECT task_id, 1, queued_at, NULL, NULL, NULL FROM ready WHERE queued_at >= ?2
        UNION ALL
        SELECT task_id, 0, created_at, NULL, NULL, NULL
        FROM pending JOIN task ON task.id = pending.task_id WHERE created_at >= ?2
    ) c
    CROSS JOIN task t ON t.id = c.task_id
    CROSS JOIN groups g ON g.id = t.group_id
    WHERE (c.at, t.id) > (?2, ?3)
      AND t.group_id IN (SELECT value FROM json_each(?1))
      AND (?4 IS NULL OR EXISTS (
          SELECT 1 FROM task_label x JOIN label l ON l.id = x.label_id
          WHERE x.task_id = t.id AND l.group_id = t.group_id AND l.name = ?4))
    ORDER BY c.at, t.id LIMIT ?5";

const POSITIONS: &str = "
    SELECT task_id, at, step
    FROM (
        SELECT task_id, finished_at AS at, 4 AS step FROM done WHERE finished_at >= ?1
        UNION ALL
        SELECT task_id, updated_at, CASE WHEN reported_end IS NULL THEN 2 ELSE 3 END
        FROM lease WHERE updated_at >= ?1
        UNION ALL
        SELECT task_id, queued_at, 1 FROM ready WHERE queued_at >= ?1
        UNION ALL
        SELECT task_id, created_at, 0
        FROM pending JOIN task ON task.id = pending.task_id WHERE created_at >= ?1
    ) c
    WHERE (at, task_id) > (?1, ?2)
    ORDER BY at, task_id LIMIT ?3";

const LAST_CHANGES: &str = "
    SELECT t.id, t.uuid, t.group_id, t.labels, g.name AS group_name, t.number, c.state, c.at, c.exit_status, c.message, c.warnings
    FROM (
        SELECT task_id, state, finished_at AS at, exit_status, message, warnings FROM done WHERE task_id IN (SELECT value FROM json_each(?1))
        UNION ALL
        SELECT task_id, coalesce(reported_end, 2), updated_at, NULL, NULL, NULL FROM lease WHERE task_id IN (SELECT value FROM json_each(?1))
        UNION ALL
        SELECT task_id, 1, queued_at, NULL, NULL, NULL FROM ready WHERE task_id IN (SELECT value FROM json_each(?1))
        UNION ALL
        SELECT task_id, 0, created_at, NULL, NULL, NULL
        FROM pending JOIN task ON task.id = pending.task_id WHERE task_id IN (SELECT value FROM json_each(?1))
    ) c
    CROSS JOIN task t ON t.id = c.task_id
    CROSS JOIN groups g ON g.id = t.group_id
    ORDER BY c.at, t.id";

fn read_position(row: &Row<'_>) -> Result<Position, StoreError> {
    let cursor = Cursor { at: row.time("at")?, task: TaskId(row.value("task_id")?) };
    Ok(Position { cursor, step: row.value("step")? })
}

fn read(row: &Row<'_>) -> Result<Change, StoreError> {
    let cursor = Cursor { at: row.time("at")?, task: TaskId(row.value("id")?) };
    let state: TaskState = row.code("state")?;
    let result = match row.value::<Option<i32>>("exit_status")? {
        Some(exit_status) => Some(TaskResult { exit_status, msg: row.optional_code("message")? }),
        None => None,
    };
    let event = TaskEvent {
        uuid: row.uuid("uuid")?,
        group_name: row.value("group_name")?,
        task_id: row.value("number")?,
        state,
        result,
        warnings: row.warnings("warnings")?,
        at: cursor.at,
    };
    Ok(Change { cursor, group: GroupId(row.value("group_id")?), labels: row.words("labels")?, event })
}
