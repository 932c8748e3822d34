//! Removal of ended jobs.

use mitosis_domain::ids::JobId;
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;

use super::super::retention;
use super::super::rights;
use super::steps;
use crate::StoreError;
use crate::db::{Db, Sql, only, sql};
use crate::enum_codes::row_count;
use crate::ops::Actor;
use crate::ops::jobs::{JOB_BATCH, JobRemoval};

const FIRST_TASKS: Sql = sql!("SELECT id FROM task WHERE id BETWEEN $1 AND $2 ORDER BY id LIMIT $3");

/// The deletions of what belongs to a job without tasks; `$1` is the job.
const DELETE_JOB: [Sql; 3] = [
    sql!("DELETE FROM job_dependency WHERE job_id = $1 OR needed_id = $1"),
    sql!("DELETE FROM job_count WHERE job_id = $1"),
    sql!("DELETE FROM job WHERE id = $1"),
];

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
    let found: Vec<i64> =
        db.all(FIRST_TASKS, &[&job.first_id, &job.last_id(), &row_count(JOB_BATCH)], only).await?;
    let deleted = retention::delete_now(db, &found, now).await?;
    if deleted.tasks < found.len() as u64 {
        return Ok(JobRemoval::Needed);
    }
    let more = found.len() as u64 == JOB_BATCH;
    if !more {
        for delete in DELETE_JOB {
            db.run(delete, &[&id.0]).await?;
        }
    }
    Ok(JobRemoval::Done { tasks: deleted.tasks, freed: deleted.freed, more })
}
