//! What planning and explanations need to know of element-wise needs.

use mitosis_domain::ids::{JobId, TaskId};
use mitosis_domain::job_plan::{NeededTasks, Reach};
use mitosis_protocol::Timestamp;
use mitosis_protocol::job::StopCause;

use super::super::read::{count_of, counts, read_counts};
use super::super::steps;
use crate::StoreError;
use crate::db::{Db, Params, Row, Sql, sql};
use crate::enum_codes::{Code as _, row_count};
use crate::ops::{Changed, Effects};

const NEEDED: Sql = sql!(concat!(
    "
    SELECT j.id, j.written, j.stop_cause, ",
    counts!(),
    ",
        EXISTS (SELECT 1 FROM done d WHERE d.task_id BETWEEN j.first_id + $2 AND j.first_id + j.written - 1)
            AS ended_ahead
    FROM job_dependency x INNER JOIN job j ON j.id = x.needed_id
    WHERE x.job_id = $1 AND x.kind = 2 ORDER BY j.id"
));

/// How far the tasks of a job of this size may be written; `None` if its tasks need no single tasks.
pub(in super::super) async fn reach(
    db: Db<'_>,
    id: JobId,
    size: u64,
    written: u64,
) -> Result<Option<Reach>, StoreError> {
    let needed: Vec<NeededTasks> = db.all(NEEDED, &[&id.0, &row_count(written)], read_needed).await?;
    Ok((!needed.is_empty()).then(|| Reach::of(&needed, size, written)))
}

fn read_needed(row: &Row<'_>) -> Result<NeededTasks, StoreError> {
    let counts = read_counts(row)?;
    Ok(NeededTasks {
        job: JobId(row.value("id")?),
        written: row.value::<i64>("written")?.unsigned_abs(),
        stopped: row.optional_code::<StopCause>("stop_cause")?.is_some(),
        unfinished: counts.waiting + counts.running,
        succeeded: counts.succeeded,
        unsuccessful: counts.ended() - counts.succeeded,
        ended_ahead: row.value("ended_ahead")?,
    })
}

/// Makes a retry of the needed jobs come before or after.
const LOCK_NEEDED: &str = "
    SELECT 1 FROM job WHERE id IN (SELECT needed_id FROM job_dependency WHERE job_id = $1 AND kind = 2)
    ORDER BY id FOR SHARE";

const CUT: Sql = sql!(
    "
    UPDATE job SET stop_cause = $2, stop_job_id = $3, updated_at = $4
    WHERE id = $1 AND ended_at IS NULL AND stop_cause IS NULL"
);

/// Ensures that no more tasks of a job are written, if those that they need never succeed.
pub(in super::super) async fn cut(
    db: Db<'_>,
    id: JobId,
    by: JobId,
    now: Timestamp,
) -> Result<Changed<bool>, StoreError> {
    db.lock(LOCK_NEEDED, &[&id.0]).await?;
    let Some(job) = steps::lock(db, id).await? else { return Ok(Changed::nothing(false)) };
    let reach = reach(db, id, job.size, job.written).await?;
    if reach.and_then(|reach| reach.cut_by) != Some(by) || job.written >= job.size {
        return Ok(Changed::nothing(false));
    }
    let params: Params<'_> = &[&id.0, &StopCause::DependencyFailed.code(), &by.0, &now.unix_micros()];
    let is_cut = db.run(CUT, params).await? > 0;
    Ok(Effects::jobs(vec![id]).with(is_cut))
}

/// The bit of each needed job may be set in the row of a task.
const BLOCKED_BY: Sql = sql!(
    "
    SELECT x.needed_id AS job, t.id - j.first_id + 1 AS task_index
    FROM ready r INNER JOIN task t ON t.id = r.task_id INNER JOIN job j ON j.id = t.job_id
        INNER JOIN job_dependency x ON x.job_id = j.id
    WHERE r.task_id = $1 AND x.kind = 2 AND (r.blocked & x.mask) <> 0
    ORDER BY x.needed_id LIMIT 1"
);

/// The first task that a waiting task waits for: its job and its index.
pub(crate) async fn blocked_by(db: Db<'_>, task: TaskId) -> Result<Option<(i64, u64)>, StoreError> {
    db.optional(BLOCKED_BY, &[&task.0], |row| {
        Ok((row.value("job")?, row.value::<i64>("task_index")?.unsigned_abs()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_the_dependent_job() {
        assert_searches(NEEDED, &["x", "j", "c", "c", "c", "c", "c", "c", "c", "d"]);
        assert_searches(BLOCKED_BY, &["r", "t", "j", "x"]);
    }
}
