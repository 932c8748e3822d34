//! Cancellation of tasks of a job.

use mitosis_domain::ids::JobId;
use mitosis_domain::permission::Action;
use mitosis_protocol::job::{StopCause, TaskCondition};
use mitosis_protocol::{TaskResultMessage, Timestamp};
use uuid::Uuid;

use super::super::rights;
use super::super::tasks::end_ready;
use super::steps::{self, Locked, waiting_between};
use super::{STOP, ranges};
use crate::StoreError;
use crate::db::{Db, Json, Sql, only, sql};
use crate::enum_codes::{Code, row_count};
use crate::ops::jobs::{JOB_BATCH, JobCancellation, JobTasks, MAX_SKIPPED_RANGES};
use crate::ops::{Actor, Changed, Effects};

/// Cancels the selected tasks that wait, and lists those that run.
pub(super) async fn cancel(
    db: Db<'_>,
    by: Actor,
    id: JobId,
    tasks: &JobTasks,
    now: Timestamp,
) -> Result<Changed<JobCancellation>, StoreError> {
    let Some(job) = steps::lock(db, id).await? else { return Ok(Changed::nothing(JobCancellation::Denied)) };
    if !rights::may(db, by, job.group, Action::ManageTasks).await? {
        return Ok(Changed::nothing(JobCancellation::Denied));
    }
    let mut effects = Effects::jobs(vec![id]);
    let selects = |condition| tasks.states.is_empty() || tasks.states.contains(&condition);
    let (mut waiting, mut cancelled) = (Vec::new(), 0);
    if selects(TaskCondition::Waiting) {
        match cancel_unwritten(db, id, &job, tasks, now).await? {
            Some(unwritten) => cancelled = unwritten,
            None => return Ok(Changed::nothing(JobCancellation::TooScattered)),
        }
        waiting = waiting_tasks(db, &job, tasks).await?;
    }
    cancelled += effects.keep(end_ready(db, &waiting, TaskResultMessage::UserCancellation, now).await?);
    let running = match selects(TaskCondition::Running) {
        true => running_tasks(db, &job, tasks).await?,
        false => Vec::new(),
    };
    let more = waiting.len() as u64 == JOB_BATCH;
    Ok(effects.with(JobCancellation::Done { cancelled, running, more }))
}

pub(super) const SKIP: Sql = sql!("UPDATE job SET skipped = $2, updated_at = $3 WHERE id = $1");

/// Stops the job if all of its tasks are selected; otherwise remembers which tasks to write as cancelled. Returns how many
/// tasks this cancels, or nothing if they are too many ranges.
async fn cancel_unwritten(
    db: Db<'_>,
    id: JobId,
    job: &Locked,
    tasks: &JobTasks,
    now: Timestamp,
) -> Result<Option<u64>, StoreError> {
    if job.stopped.is_some() {
        return Ok(Some(0));
    }
    let mut skipped = job.skipped.clone();
    if tasks.indices.is_empty() {
        db.run(STOP, &[&id.0, &StopCause::Cancelled.code(), &now.unix_micros()]).await?;
        return Ok(Some(skipped.insert(job.written + 1, job.size)));
    }
    let unwritten = tasks.ranges_between(job.written, job.size);
    let cancelled = unwritten.map(|(from, to)| skipped.insert(from, to)).sum();
    if cancelled > 0 && skipped.ranges().len() > MAX_SKIPPED_RANGES {
        return Ok(None);
    }
    if cancelled > 0 {
        skipped.remove(1, job.written);
        db.run_one(SKIP, &[&id.0, &Json(&skipped), &now.unix_micros()]).await?;
    }
    Ok(Some(cancelled))
}

async fn waiting_tasks(db: Db<'_>, job: &Locked, tasks: &JobTasks) -> Result<Vec<i64>, StoreError> {
    let mut waiting: Vec<i64> = Vec::new();
    for (first, last) in ranges::ids(&job.reserved(), tasks, 0) {
        let missing = row_count(JOB_BATCH) - row_count(waiting.len());
        if missing == 0 {
            break;
        }
        waiting.extend(waiting_between(db, first, last, missing).await?);
    }
    Ok(waiting)
}

const RUNNING: Sql = sql!(
    "
    SELECT t.uuid FROM lease l INNER JOIN task t ON t.id = l.task_id
    WHERE l.task_id BETWEEN $1 AND $2 AND l.reported_end IS NULL ORDER BY l.task_id"
);

async fn running_tasks(db: Db<'_>, job: &Locked, tasks: &JobTasks) -> Result<Vec<Uuid>, StoreError> {
    let mut running: Vec<Uuid> = Vec::new();
    for (first, last) in ranges::ids(&job.reserved(), tasks, 0) {
        running.extend(db.all::<Vec<Uuid>, _>(RUNNING, &[&first, &last], only).await?);
    }
    Ok(running)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_reads_leases_by_their_key() {
        assert_searches(RUNNING, &["l", "t"]);
    }
}
