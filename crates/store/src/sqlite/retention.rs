//! Forgetting what is long over.

use async_trait::async_trait;
use mitosis_domain::ids::TaskId;
use mitosis_protocol::Timestamp;
use rusqlite::{Connection, params};

use super::SqliteStore;
use super::artifacts::records;
use super::row::{Columns, Run};
use super::workers::departure;
use crate::StoreError;
use crate::ops::retention::{Forgotten, Retention};
use crate::retention::Candidate;

#[async_trait]
impl Retention for SqliteStore {
    async fn forget_tasks(
        &self,
        ended_before: Timestamp,
        after: Option<TaskId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Forgotten, StoreError> {
        // Looked for beside the writer, which is asked only when there is something to do.
        let after = after.map_or(0, |task| task.0);
        let candidates: Vec<_> = self
            .read(move |db| {
                db.all(CANDIDATES, params![after, limit], |row| {
                    Ok(Candidate {
                        task: TaskId(row.value("task_id")?),
                        created_at: row.time("created_at")?,
                        ended_at: row.time("finished_at")?,
                    })
                })
            })
            .await?;
        let next = Candidate::next(&candidates, ended_before, limit);
        let old = Candidate::old(&candidates, ended_before);
        if old.is_empty() {
            return Ok(Forgotten { tasks: 0, next });
        }
        let tasks = self.write(move |db| forget(db, &old, ended_before, now)).await?;
        Ok(Forgotten { tasks, next })
    }

    async fn forget_submissions(&self, submitted_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let before = submitted_before.unix_micros();
        self.write(move |db| Ok(db.run(FORGET_SUBMISSIONS, params![before, limit])? as u64)).await
    }

    async fn delete_departures(&self, gone_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |db| departure::delete(db, gone_before, limit)).await
    }
}

const CANDIDATES: &str = "
    SELECT d.task_id, d.finished_at, t.created_at
    FROM done d CROSS JOIN task t ON t.id = d.task_id
    WHERE d.task_id > ?1 ORDER BY d.task_id LIMIT ?2";

/// Answers the task if it is still there and nobody needs it.
const UNNEEDED: &str = "
    SELECT t.id FROM task t
    WHERE t.id = ?1
      -- No archive of it is in use, or on its way.
      AND NOT EXISTS (SELECT 1 FROM artifact a WHERE a.task_id = t.id AND a.updated_at >= ?2)
      -- Its follow-up has ended.
      AND NOT EXISTS (
          SELECT 1 FROM task f WHERE f.uuid = t.downstream_uuid
              AND NOT EXISTS (SELECT 1 FROM done WHERE done.task_id = f.id))
      -- Whoever fetches from it, or watches it, has ended.
      AND NOT EXISTS (
          SELECT 1 FROM task_need n WHERE n.needed_uuid = t.uuid
              AND NOT EXISTS (SELECT 1 FROM done WHERE done.task_id = n.task_id))";

/// `?1` is the task.
const DELETE_EVERY_TRACE: [&str; 4] = [
    "DELETE FROM task_label WHERE task_id = ?1",
    "DELETE FROM task_need WHERE task_id = ?1",
    "DELETE FROM done WHERE task_id = ?1",
    "DELETE FROM task WHERE id = ?1",
];

fn forget(db: &Connection, old: &[i64], ended_before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
    let mut forgotten = 0;
    for task in old {
        let params = params![task, ended_before.unix_micros()];
        let Some(task) = db.optional(UNNEEDED, params, |row| Ok(TaskId(row.get(0)?)))? else { continue };
        records::discard_all(db, task, now)?;
        for delete in DELETE_EVERY_TRACE {
            db.run(delete, [task.0])?;
        }
        forgotten += 1;
    }
    Ok(forgotten)
}

const FORGET_SUBMISSIONS: &str = "
    DELETE FROM submission WHERE (creator_id, key) IN (
        SELECT creator_id, key FROM submission WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)";
