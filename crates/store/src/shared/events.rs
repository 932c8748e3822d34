//! Recent changes of tasks.

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_protocol::TaskState;
use mitosis_protocol::events::{TaskEvent, exit_code};
use uuid::Uuid;

use crate::StoreError;
use crate::backend::Backend;
use crate::db::{Db, List, Params, Row, Sql, sql};
use crate::enum_codes::row_count;
use crate::ops::events::{Change, ChangeQuery, Cursor, Events, Position};

#[async_trait]
impl<B: Backend> Events for B {
    async fn changes(
        &self,
        query: &ChangeQuery,
        after: Cursor,
        limit: u64,
    ) -> Result<Vec<Change>, StoreError> {
        self.read((query.clone(), after, limit), |db, (query, after, limit)| {
            Box::pin(changes(db, query, *after, *limit))
        })
        .await
    }

    async fn positions(&self, after: Cursor, limit: u64) -> Result<Vec<Position>, StoreError> {
        self.read((after, limit), |db, (after, limit)| Box::pin(positions(db, *after, *limit))).await
    }

    async fn last_changes(&self, tasks: &[TaskId]) -> Result<Vec<Change>, StoreError> {
        let tasks: Vec<i64> = tasks.iter().map(|task| task.0).collect();
        self.read(tasks, |db, tasks| {
            Box::pin(async move { db.all(LAST_CHANGES, &[&List(tasks)], read).await })
        })
        .await
    }

    async fn started_states(&self, tasks: &[Uuid]) -> Result<Vec<TaskEvent>, StoreError> {
        self.read_for_user(tasks.to_vec(), |db, tasks| {
            Box::pin(async move { db.all(STARTED_STATES, &[&List(tasks)], read_event).await })
        })
        .await
    }
}

async fn changes(
    db: Db<'_>,
    query: &ChangeQuery,
    after: Cursor,
    limit: u64,
) -> Result<Vec<Change>, StoreError> {
    let groups: Vec<i64> = query.groups.iter().map(|group| group.0).collect();
    let params: Params<'_> =
        &[&List(&groups), &after.at.unix_micros(), &after.task.0, &query.label, &row_count(limit)];
    db.all(CHANGES, params, read).await
}

const CHANGES: Sql = sql!("
    SELECT t.id, t.uuid, t.group_id, t.labels, g.name AS group_name, t.number, c.state, c.at, c.exit_status, c.message, c.warnings
    FROM (
        SELECT task_id, state, finished_at AS at, exit_status, message, warnings FROM done WHERE finished_at >= $2
        UNION ALL
        SELECT task_id, coalesce(reported_end, 2::smallint), updated_at, NULL, NULL, NULL FROM lease WHERE updated_at >= $2
        UNION ALL
        SELECT task_id, CASE WHEN blocked = 0 THEN 1::smallint ELSE 0::smallint END, queued_at, NULL, NULL, NULL FROM ready WHERE queued_at >= $2
        UNION ALL
        SELECT task_id, 0::smallint, created_at, NULL, NULL, NULL
        FROM pending JOIN task ON task.id = pending.task_id WHERE created_at >= $2
    ) c
    INNER JOIN task t ON t.id = c.task_id
    INNER JOIN groups g ON g.id = t.group_id
    WHERE (c.at, t.id) > ($2, $3)
      AND t.group_id = ANY($1)
      AND ($4::text IS NULL OR EXISTS (
          SELECT 1 FROM task_label x JOIN label l ON l.id = x.label_id
          WHERE x.task_id = t.id AND l.group_id = t.group_id AND l.name = $4))
    ORDER BY c.at, t.id LIMIT $5");

const POSITIONS: Sql = sql!(
    "
    SELECT task_id, at, step
    FROM (
        SELECT task_id, finished_at AS at, 4::smallint AS step FROM done WHERE finished_at >= $1
        UNION ALL
        SELECT task_id, updated_at, CASE WHEN reported_end IS NULL THEN 2::smallint ELSE 3::smallint END
        FROM lease WHERE updated_at >= $1
        UNION ALL
        SELECT task_id, queued_at, CASE WHEN blocked = 0 THEN 1::smallint ELSE 0::smallint END FROM ready WHERE queued_at >= $1
        UNION ALL
        SELECT task_id, created_at, 0::smallint
        FROM pending JOIN task ON task.id = pending.task_id WHERE created_at >= $1
    ) c
    WHERE (at, task_id) > ($1, $2)
    ORDER BY at, task_id LIMIT $3"
);

async fn positions(db: Db<'_>, after: Cursor, limit: u64) -> Result<Vec<Position>, StoreError> {
    let params: Params<'_> = &[&after.at.unix_micros(), &after.task.0, &row_count(limit)];
    db.all(POSITIONS, params, read_position).await
}

const LAST_CHANGES: Sql = sql!("
    SELECT t.id, t.uuid, t.group_id, t.labels, g.name AS group_name, t.number, c.state, c.at, c.exit_status, c.message, c.warnings
    FROM (
        SELECT task_id, state, finished_at AS at, exit_status, message, warnings FROM done WHERE task_id = ANY($1)
        UNION ALL
        SELECT task_id, coalesce(reported_end, 2::smallint), updated_at, NULL, NULL, NULL FROM lease WHERE task_id = ANY($1)
        UNION ALL
        SELECT task_id, CASE WHEN blocked = 0 THEN 1::smallint ELSE 0::smallint END, queued_at, NULL, NULL, NULL FROM ready WHERE task_id = ANY($1)
        UNION ALL
        SELECT task_id, 0::smallint, created_at, NULL, NULL, NULL
        FROM pending JOIN task ON task.id = pending.task_id WHERE task_id = ANY($1)
    ) c
    INNER JOIN task t ON t.id = c.task_id
    INNER JOIN groups g ON g.id = t.group_id
    ORDER BY c.at, t.id");

const STARTED_STATES: Sql = sql!(
    "
    SELECT t.uuid, g.name AS group_name, t.number, coalesce(d.state, l.reported_end, 2::smallint) AS state,
        coalesce(d.finished_at, l.updated_at) AS at, d.exit_status, d.message, d.warnings
    FROM task t
    INNER JOIN groups g ON g.id = t.group_id
    LEFT JOIN done d ON d.task_id = t.id
    LEFT JOIN lease l ON l.task_id = t.id
    WHERE t.uuid = ANY($1::uuid[]) AND (d.task_id IS NOT NULL OR l.task_id IS NOT NULL)
    ORDER BY at, t.id"
);

fn read_position(row: &Row<'_>) -> Result<Position, StoreError> {
    let cursor = Cursor { at: row.time("at")?, task: TaskId(row.value("task_id")?) };
    let step = row.value::<i16>("step")?;
    Ok(Position { cursor, step: u8::try_from(step).expect("the statement returns 0 to 4") })
}

fn read(row: &Row<'_>) -> Result<Change, StoreError> {
    let event = read_event(row)?;
    let cursor = Cursor { at: event.at, task: TaskId(row.value("id")?) };
    Ok(Change { cursor, group: GroupId(row.value("group_id")?), labels: row.tag_set("labels")?, event })
}

fn read_event(row: &Row<'_>) -> Result<TaskEvent, StoreError> {
    let state: TaskState = row.code("state")?;
    let result = match row.value::<Option<i32>>("exit_status")? {
        Some(_) => Some(row.result()?),
        None => None,
    };
    Ok(TaskEvent {
        uuid: row.value("uuid")?,
        group_name: row.value("group_name")?,
        task_id: row.value("number")?,
        state,
        result,
        exit_code: exit_code(state, result),
        warnings: row.warnings("warnings")?,
        at: row.time("at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_the_tasks() {
        assert_searches(STARTED_STATES, &["t", "g", "d", "l"]);
    }
}
