//! Forgetting what is long over.

use std::collections::BTreeMap;

use async_trait::async_trait;
use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_protocol::Timestamp;

use super::artifacts::garbage;
use super::row::{self, Columns, Db};
use super::workers::departure;
use super::{PostgresStore, write};
use crate::StoreError;
use crate::ops::retention::{Forgotten, Retention};
use crate::retention::Candidate;

#[async_trait]
impl Retention for PostgresStore {
    async fn forget_tasks(
        &self,
        ended_before: Timestamp,
        after: Option<TaskId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Forgotten, StoreError> {
        let after = after.map_or(0, |task| task.0);
        let candidates: Vec<_> =
            row::all(&self.client().await?, CANDIDATES, &[&after, &i64::from(limit)], |row| {
                Ok(Candidate {
                    task: TaskId(row.value("task_id")?),
                    created_at: row.time("created_at")?,
                    ended_at: row.time("finished_at")?,
                })
            })
            .await?;
        let next = Candidate::next(&candidates, ended_before, limit);
        let old = Candidate::old(&candidates, ended_before);
        if old.is_empty() {
            return Ok(Forgotten { tasks: 0, next });
        }
        let tasks = write!(self, tx => forget(tx, &old, ended_before, now))?;
        Ok(Forgotten { tasks, next })
    }

    async fn forget_submissions(&self, submitted_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let params: row::Params<'_> = &[&submitted_before.unix_micros(), &i64::from(limit)];
        row::run(&self.client().await?, FORGET_SUBMISSIONS, params).await
    }

    async fn delete_departures(&self, gone_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        departure::delete(&self.client().await?, gone_before, limit).await
    }
}

/// Looked up one by one, so that a round never reads more than it was allowed to.
const CANDIDATES: &str = "
    SELECT d.task_id, d.finished_at,
        coalesce((SELECT created_at FROM task t WHERE t.id = d.task_id), d.finished_at) AS created_at
    FROM done d WHERE d.task_id > $1 ORDER BY d.task_id LIMIT $2";

/// What another coordinator is at work on is left to it. `OFFSET 0` keeps each test a lookup.
const LOCK_UNNEEDED: &str = "
    SELECT t.id, t.group_id FROM task t
    WHERE t.id = ANY($1)
      -- No archive of it is in use, or on its way.
      AND NOT EXISTS (
          SELECT 1 FROM artifact a WHERE a.task_id = t.id AND a.updated_at >= $2 OFFSET 0)
      -- Its follow-up has ended.
      AND NOT EXISTS (
          SELECT 1 FROM task f WHERE f.uuid = t.downstream_uuid
              AND NOT EXISTS (SELECT 1 FROM done WHERE done.task_id = f.id OFFSET 0) OFFSET 0)
      -- Whoever fetches from it, or watches it, has ended.
      AND NOT EXISTS (
          SELECT 1 FROM task_need n WHERE n.needed_uuid = t.uuid
              AND NOT EXISTS (SELECT 1 FROM done WHERE done.task_id = n.task_id OFFSET 0) OFFSET 0)
    ORDER BY t.id FOR UPDATE SKIP LOCKED";

const TAKE_ARTIFACTS: &str = "
    DELETE FROM artifact WHERE task_id = ANY($1) RETURNING task_id, size, object";

/// In the order in which everybody locks groups.
const GIVE_BACK: &str = "UPDATE groups SET storage_used = storage_used - $2 WHERE id = $1";

/// `$1` are the tasks.
const DELETE_EVERY_TRACE: [&str; 4] = [
    "DELETE FROM task_label WHERE task_id = ANY($1)",
    "DELETE FROM task_need WHERE task_id = ANY($1)",
    "DELETE FROM done WHERE task_id = ANY($1)",
    "DELETE FROM task WHERE id = ANY($1)",
];

async fn forget(
    tx: &impl Db,
    old: &[i64],
    ended_before: Timestamp,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let groups: BTreeMap<i64, i64> =
        row::all(tx, LOCK_UNNEEDED, &[&old, &ended_before.unix_micros()], |row| {
            Ok((row.value("id")?, row.value("group_id")?))
        })
        .await?;
    let tasks: Vec<i64> = groups.keys().copied().collect();
    let taken: Vec<(i64, i64, String)> = row::all(tx, TAKE_ARTIFACTS, &[&tasks], |row| {
        Ok((row.value("task_id")?, row.value("size")?, row.value("object")?))
    })
    .await?;
    let mut sizes: BTreeMap<GroupId, i64> = BTreeMap::new();
    for (task, size, _) in &taken {
        *sizes.entry(GroupId(groups[task])).or_default() += size;
    }
    for (group, size) in sizes {
        row::run_one(tx, GIVE_BACK, &[&group.0, &size]).await?;
    }
    let objects: Vec<&str> = taken.iter().map(|(_, _, object)| object.as_str()).collect();
    garbage::add_all(tx, &objects, now).await?;
    for delete in DELETE_EVERY_TRACE {
        row::run(tx, delete, &[&tasks]).await?;
    }
    Ok(tasks.len() as u64)
}

const FORGET_SUBMISSIONS: &str = "
    DELETE FROM submission WHERE (creator_id, key) IN (
        SELECT creator_id, key FROM submission WHERE created_at < $1
        ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)";
