//! Removal of ended jobs.

use mitosis_domain::ids::JobId;
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;

use super::super::retention;
use super::super::rights;
use super::steps;
use crate::StoreError;
use crate::db::{Db, List, Params, Row, Sql, only, sql};
use crate::enum_codes::row_count;
use crate::ops::Actor;
use crate::ops::jobs::{JOB_BATCH, JobRemoval};
use crate::ops::retention::DeletedJobs;

/// The submission can be repeated once all of its jobs are removed.
const FREE_KEY: Sql = sql!(
    "
    DELETE FROM submission
    WHERE (creator_id, key) IN (SELECT creator_id, submission_key FROM job WHERE id = $1)
      AND NOT EXISTS (
          SELECT 1 FROM job other
          WHERE other.creator_id = submission.creator_id AND other.submission_key = submission.key
            AND other.id <> $1)"
);

/// Tasks that are not written yet may need those of this job, or their artifacts.
const IS_NEEDED: Sql = sql!(
    "
    SELECT EXISTS (
        SELECT 1 FROM job_dependency x INNER JOIN job d ON d.id = x.job_id
        WHERE x.needed_id = $1 AND (x.kind = 2 OR x.artifacts IS NOT NULL) AND d.ended_at IS NULL)"
);

const FIRST_TASKS: Sql = sql!("SELECT id FROM task WHERE id BETWEEN $1 AND $2 ORDER BY id LIMIT $3");

/// The deletions of what belongs to jobs without tasks; `$1` are the jobs.
const DELETE_JOBS: [Sql; 5] = [
    sql!("DELETE FROM job_notify WHERE job_id = ANY($1)"),
    sql!("DELETE FROM job_dependency WHERE job_id = ANY($1)"),
    sql!("DELETE FROM job_dependency WHERE needed_id = ANY($1)"),
    sql!("DELETE FROM job_count WHERE job_id = ANY($1)"),
    sql!("DELETE FROM job WHERE id = ANY($1)"),
];

async fn delete(db: Db<'_>, jobs: &[i64]) -> Result<(), StoreError> {
    for delete in DELETE_JOBS {
        db.run(delete, &[&List(jobs)]).await?;
    }
    Ok(())
}

/// Deletes the first tasks of an ended job; without any left, the job.
pub(super) async fn remove(
    db: Db<'_>,
    by: Actor,
    id: JobId,
    now: Timestamp,
) -> Result<JobRemoval, StoreError> {
    let Some(job) = steps::lock(db, id).await? else { return Ok(JobRemoval::Denied) };
    if !rights::may(db, by, job.group, Action::ManageTasks).await? {
        return Ok(JobRemoval::Denied);
    }
    if !job.has_ended {
        return Ok(JobRemoval::Active);
    }
    if db.one(IS_NEEDED, &[&id.0], only).await? {
        return Ok(JobRemoval::Needed);
    }
    let found: Vec<i64> =
        db.all(FIRST_TASKS, &[&job.first_id, &job.last_id(), &row_count(JOB_BATCH)], only).await?;
    let deleted = retention::delete_now(db, &found, now).await?;
    if deleted.tasks < found.len() as u64 {
        return Ok(JobRemoval::Needed);
    }
    let more = found.len() as u64 == JOB_BATCH;
    if !more {
        db.run(FREE_KEY, &[&id.0]).await?;
        delete(db, &[id.0]).await?;
    }
    Ok(JobRemoval::Done { tasks: deleted.tasks, freed: deleted.freed, more })
}

const JOBS_AFTER: Sql = sql!("SELECT id FROM job WHERE id > $1 ORDER BY id LIMIT $2");

/// A job that is being changed is left for the next walk.
const OLD: Sql = sql!(
    "
    SELECT id, first_id, first_id + size - 1 AS last_id FROM job
    WHERE id = ANY($1) AND ended_at < $2 ORDER BY id FOR UPDATE SKIP LOCKED"
);

/// A job to delete, with the ids of its first and its last task.
struct Old {
    id: i64,
    first: i64,
    last: i64,
}

fn read_old(row: &Row<'_>) -> Result<Old, StoreError> {
    Ok(Old { id: row.value("id")?, first: row.value("first_id")?, last: row.value("last_id")? })
}

/// Deletes those of the next jobs that ended before a time, with at most as many tasks. A job of which a task is needed
/// stays.
pub(crate) async fn delete_ended(
    db: Db<'_>,
    ended_before: Timestamp,
    after: i64,
    limit: u32,
    now: Timestamp,
) -> Result<DeletedJobs, StoreError> {
    let examined: Vec<i64> = db.all(JOBS_AFTER, &[&after, &i64::from(limit)], only).await?;
    let params: Params<'_> = &[&List(&examined), &ended_before.unix_micros()];
    let old: Vec<Old> = db.all(OLD, params, read_old).await?;
    let last = examined.last().copied().map(JobId);
    let next = last.filter(|_| examined.len() == usize::try_from(limit).unwrap_or(usize::MAX));
    let (mut gone, mut deleted) = (Vec::new(), DeletedJobs { next, ..DeletedJobs::default() });
    for Old { id, first, last } in old {
        let most = i64::from(limit) - row_count(deleted.tasks);
        let found: Vec<i64> = db.all(FIRST_TASKS, &[&first, &last, &(most + 1)], only).await?;
        let some = &found[..found.len().min(usize::try_from(most).unwrap_or(0))];
        let of_job = retention::delete_unneeded(db, some, ended_before, now).await?;
        deleted.tasks += of_job.tasks;
        deleted.freed += of_job.freed;
        match of_job.tasks == some.len() as u64 {
            true if some.len() < found.len() => {
                // The next round continues with this job.
                deleted.next = Some(JobId(id - 1));
                break;
            }
            true => gone.push(id),
            false => {}
        }
    }
    if !gone.is_empty() {
        delete(db, &gone).await?;
    }
    Ok(DeletedJobs { jobs: gone.len() as u64, ..deleted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_looks_for_tasks_by_their_ids() {
        assert_searches(IS_NEEDED, &["x", "d"]);
        assert_searches(JOBS_AFTER, &["job"]);
        assert_searches(OLD, &["job"]);
        assert_searches(FIRST_TASKS, &["task"]);
    }
}
