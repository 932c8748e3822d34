//! Deletion of old tasks and records.

use std::collections::BTreeMap;

use async_trait::async_trait;
use mitosis_domain::ids::{ArtifactId, GroupId, JobId, TaskId};
use mitosis_protocol::Timestamp;

use super::artifacts::records::{self, DeletedRecord};
use super::jobs::remove;
use super::workers::{hosts, tombstones};
use crate::StoreError;
use crate::backend::Backend;
use crate::db::{Db, List, Row, Sql, sql};
use crate::ops::retention::{DeletedArchives, DeletedJobs, DeletedTasks, Retention};
use crate::retention::{ArchiveCandidate, Candidate};

#[async_trait]
impl<B: Backend> Retention for B {
    async fn delete_ended_tasks(
        &self,
        ended_before: Timestamp,
        after: Option<TaskId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<DeletedTasks, StoreError> {
        let after = after.map_or(0, |task| task.0);
        let candidates = self.read((after, limit), |db, (after, limit)| {
            Box::pin(async move { db.all(CANDIDATES, &[after, &i64::from(*limit)], read_candidate).await })
        });
        let candidates: Vec<Candidate> = candidates.await?;
        let next = Candidate::next(&candidates, ended_before, limit);
        let old = Candidate::old(&candidates, ended_before);
        if old.is_empty() {
            return Ok(DeletedTasks { next, ..DeletedTasks::default() });
        }
        let tasks = self.write((old, ended_before, now), |db, (old, ended_before, now)| {
            Box::pin(delete_unneeded(db, old, *ended_before, *now))
        });
        let Deleted { tasks, freed } = tasks.await?;
        Ok(DeletedTasks { tasks, freed, next })
    }

    async fn delete_archives_of_ended(
        &self,
        ended_before: Timestamp,
        after: Option<ArtifactId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<DeletedArchives, StoreError> {
        let after = after.map_or(0, |archive| archive.0);
        let candidates = self.read((after, limit), |db, (after, limit)| {
            Box::pin(async move { db.all(ARCHIVES, &[after, &i64::from(*limit)], read_archive).await })
        });
        let candidates: Vec<ArchiveCandidate> = candidates.await?;
        let next = ArchiveCandidate::next(&candidates, ended_before, limit);
        let old = ArchiveCandidate::old(&candidates, ended_before);
        if old.is_empty() {
            return Ok(DeletedArchives { next, ..DeletedArchives::default() });
        }
        let archives = self.write((old, ended_before, now), |db, (old, ended_before, now)| {
            Box::pin(async move {
                let groups = lock_deletable(db, old, *ended_before).await?;
                delete_archives(db, &groups, *now).await
            })
        });
        let DeletedBytes { count, bytes } = archives.await?;
        Ok(DeletedArchives { archives: count, freed: bytes, next })
    }

    async fn delete_ended_jobs(
        &self,
        ended_before: Timestamp,
        after: Option<JobId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<DeletedJobs, StoreError> {
        let after = after.map_or(0, |job| job.0);
        self.write((ended_before, after, limit, now), |db, (ended_before, after, limit, now)| {
            Box::pin(remove::delete_ended(db, *ended_before, *after, *limit, *now))
        })
        .await
    }

    async fn delete_submissions(&self, submitted_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write_statement((submitted_before, limit), |db, (before, limit)| {
            Box::pin(
                async move { db.run(DELETE_SUBMISSIONS, &[&before.unix_micros(), &i64::from(*limit)]).await },
            )
        })
        .await
    }

    async fn delete_departures(&self, gone_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write_statement((gone_before, limit), |db, (gone_before, limit)| {
            Box::pin(tombstones::delete(db, *gone_before, *limit))
        })
        .await
    }
}

/// Looks the ends up one by one, so that a round never reads more than its limit.
const CANDIDATES: Sql = sql!(
    "
    SELECT d.task_id, d.finished_at,
        coalesce((SELECT created_at FROM task t WHERE t.id = d.task_id), d.finished_at) AS created_at,
        EXISTS (SELECT 1 FROM task t WHERE t.id = d.task_id AND t.job_id IS NOT NULL) AS has_job
    FROM done d WHERE d.task_id > $1 ORDER BY d.task_id LIMIT $2"
);

fn read_candidate(row: &Row<'_>) -> Result<Candidate, StoreError> {
    Ok(Candidate {
        task: TaskId(row.value("task_id")?),
        created_at: row.time("created_at")?,
        ended_at: row.time("finished_at")?,
        has_job: row.value("has_job")?,
    })
}

/// Looks the ends up one by one, as above. Records that are deleted are not walked again.
const ARCHIVES: Sql = sql!(
    "
    SELECT a.id, a.task_id, a.created_at, a.updated_at,
        (SELECT finished_at FROM done d WHERE d.task_id = a.task_id) AS finished_at
    FROM artifact a WHERE a.id > $1 ORDER BY a.id LIMIT $2"
);

fn read_archive(row: &Row<'_>) -> Result<ArchiveCandidate, StoreError> {
    Ok(ArchiveCandidate {
        id: ArtifactId(row.value("id")?),
        task: TaskId(row.value("task_id")?),
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        ended_at: row.optional_time("finished_at")?,
    })
}

/// Skips tasks that another coordinator has locked. `OFFSET 0` makes PostgreSQL evaluate each condition as a
/// lookup.
const LOCK_DELETABLE: Sql = sql!(
    postgres: "
    SELECT t.id, t.group_id FROM task t
    WHERE t.id = ANY($1)
      -- Its job has ended.
      AND NOT EXISTS (SELECT 1 FROM job j WHERE j.id = t.job_id AND j.ended_at IS NULL OFFSET 0)
      -- No job that has not ended needs the tasks of its job one by one, or their artifacts.
      AND NOT EXISTS (
          SELECT 1 FROM job_dependency x JOIN job d ON d.id = x.job_id
          WHERE x.needed_id = t.job_id AND (x.kind = 2 OR x.artifacts IS NOT NULL) AND d.ended_at IS NULL OFFSET 0)
      -- None of its archives was changed lately or awaits an upload.
      AND NOT EXISTS (
          SELECT 1 FROM artifact a WHERE a.task_id = t.id AND a.updated_at >= $2 OFFSET 0)
      -- Its follow-up has ended.
      AND NOT EXISTS (
          SELECT 1 FROM task f WHERE f.uuid = t.downstream_uuid
              AND NOT EXISTS (SELECT 1 FROM done WHERE done.task_id = f.id OFFSET 0) OFFSET 0)
      -- The tasks that fetch from it or watch it have ended.
      AND NOT EXISTS (
          SELECT 1 FROM task_need n WHERE n.needed_uuid = t.uuid
              AND NOT EXISTS (SELECT 1 FROM done WHERE done.task_id = n.task_id OFFSET 0) OFFSET 0)
    ORDER BY t.id FOR UPDATE SKIP LOCKED",
    sqlite: "
    SELECT t.id, t.group_id FROM task t
    WHERE t.id IN (SELECT value FROM json_each(?1))
      AND NOT EXISTS (SELECT 1 FROM job j WHERE j.id = t.job_id AND j.ended_at IS NULL)
      AND NOT EXISTS (
          SELECT 1 FROM job_dependency x CROSS JOIN job d ON d.id = x.job_id
          WHERE x.needed_id = t.job_id AND (x.kind = 2 OR x.artifacts IS NOT NULL) AND d.ended_at IS NULL)
      AND NOT EXISTS (SELECT 1 FROM artifact a WHERE a.task_id = t.id AND a.updated_at >= ?2)
      AND NOT EXISTS (
          SELECT 1 FROM task f WHERE f.uuid = t.downstream_uuid
              AND NOT EXISTS (SELECT 1 FROM done WHERE done.task_id = f.id))
      AND NOT EXISTS (
          SELECT 1 FROM task_need n WHERE n.needed_uuid = t.uuid
              AND NOT EXISTS (SELECT 1 FROM done WHERE done.task_id = n.task_id))
    ORDER BY t.id",
);

const DELETE_ARTIFACTS: Sql = sql!(
    "
    DELETE FROM artifact WHERE task_id = ANY($1) RETURNING id, task_id, size, object, place"
);

/// Locks groups in the order that all operations use.
const RELEASE_STORAGE: Sql = sql!("UPDATE groups SET storage_used = storage_used - $2 WHERE id = $1");

/// The deletions; `$1` are the tasks.
const DELETE_TASK: [Sql; 5] = [
    sql!("DELETE FROM attempt WHERE task_id = ANY($1)"),
    sql!("DELETE FROM task_label WHERE task_id = ANY($1)"),
    sql!("DELETE FROM task_need WHERE task_id = ANY($1)"),
    sql!("DELETE FROM done WHERE task_id = ANY($1)"),
    sql!("DELETE FROM task WHERE id = ANY($1)"),
];

/// Locks those of the tasks that nothing needs, and returns them with their groups.
async fn lock_deletable(
    db: Db<'_>,
    tasks: &[i64],
    ended_before: Timestamp,
) -> Result<BTreeMap<i64, i64>, StoreError> {
    let read = |row: &Row<'_>| Ok((row.value("id")?, row.value("group_id")?));
    db.all(LOCK_DELETABLE, &[&List(tasks), &ended_before.unix_micros()], read).await
}

/// What a deletion freed.
pub(super) struct Deleted {
    /// The number of deleted tasks.
    pub(super) tasks: u64,
    /// The sizes of their archives.
    pub(super) freed: u64,
}

/// Deletes those of the ended tasks that nothing needs, however long ago they ended.
pub(super) async fn delete_now(db: Db<'_>, tasks: &[i64], now: Timestamp) -> Result<Deleted, StoreError> {
    delete_unneeded(db, tasks, Timestamp::from_unix_micros(i64::MAX), now).await
}

/// Deletes those of the tasks that nothing needs, and of which no archive was changed at or after a time.
pub(super) async fn delete_unneeded(
    db: Db<'_>,
    tasks: &[i64],
    ended_before: Timestamp,
    now: Timestamp,
) -> Result<Deleted, StoreError> {
    let groups = lock_deletable(db, tasks, ended_before).await?;
    let tasks: Vec<i64> = groups.keys().copied().collect();
    let archives = delete_archives(db, &groups, now).await?;
    let workers = hosts::of_attempts(db, &tasks).await?;
    for delete in DELETE_TASK {
        db.run(delete, &[&List(&tasks)]).await?;
    }
    hosts::delete_unused(db, &workers).await?;
    Ok(Deleted { tasks: tasks.len() as u64, freed: archives.bytes })
}

/// Deleted archives.
struct DeletedBytes {
    count: u64,
    bytes: u64,
}

/// Deletes all archives of locked tasks, given with their groups, and releases their storage.
async fn delete_archives(
    db: Db<'_>,
    groups: &BTreeMap<i64, i64>,
    now: Timestamp,
) -> Result<DeletedBytes, StoreError> {
    let tasks: Vec<i64> = groups.keys().copied().collect();
    let deleted: Vec<DeletedRecord> =
        db.all(DELETE_ARTIFACTS, &[&List(&tasks)], records::read_deleted).await?;
    let mut sizes: BTreeMap<GroupId, i64> = BTreeMap::new();
    for record in &deleted {
        *sizes.entry(GroupId(groups[&record.task.0])).or_default() += record.size;
    }
    for (group, size) in sizes {
        db.run_one(RELEASE_STORAGE, &[&group.0, &size]).await?;
    }
    let count = deleted.len() as u64;
    let bytes = deleted.iter().map(|record| record.size.unsigned_abs()).sum();
    records::free(db, deleted, now).await?;
    Ok(DeletedBytes { count, bytes })
}

const DELETE_SUBMISSIONS: Sql = sql!(
    "
    DELETE FROM submission WHERE (creator_id, key) IN (
        SELECT creator_id, key FROM submission WHERE created_at < $1
        ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_walks_from_the_cursor() {
        assert_searches(CANDIDATES, &["d", "t", "t"]);
        assert_searches(ARCHIVES, &["a", "d"]);
    }
}
