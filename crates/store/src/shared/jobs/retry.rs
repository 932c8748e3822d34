//! Further attempts of ended tasks.

use std::collections::BTreeMap;

use mitosis_domain::ids::JobId;
use mitosis_domain::permission::Action;
use mitosis_protocol::Timestamp;
use mitosis_protocol::job::{StopCause, TaskCondition, TaskOutcome};

use super::super::rights;
use super::cancel::SKIP;
use super::counts::CountChanges;
use super::elements;
use super::elements::reopened::{blocked_by, needs_failed};
use super::elements::succeeded;
use super::ranges;
use super::read::outcome_code;
use super::reopen::{Hold, RetriedBy, reopen};
use super::steps::{self, Locked};
use crate::StoreError;
use crate::db::{Db, Json, List, Params, Row, Sql, only, sql};
use crate::enum_codes::{Code, row_count};
use crate::ops::jobs::{CountChange, JOB_BATCH, JobRetry, JobTasks};
use crate::ops::{Actor, Changed, Effects};

/// What a retry without states selects.
const UNSUCCESSFUL: [TaskCondition; 3] =
    [TaskCondition::Failed, TaskCondition::TimedOut, TaskCondition::Cancelled];

/// Makes the selected tasks wait for their next attempt.
pub(super) async fn retry(
    db: Db<'_>,
    by: Actor,
    id: JobId,
    tasks: &JobTasks,
    now: Timestamp,
) -> Result<Changed<JobRetry>, StoreError> {
    let Some(job) = steps::lock(db, id).await? else { return Ok(Changed::nothing(JobRetry::Denied)) };
    if job.group_is_gone || !rights::may(db, by, job.group, Action::Submit).await? {
        return Ok(Changed::nothing(JobRetry::Denied));
    }
    if job.is_element_wise() {
        elements::lock_links_of(db, id).await?;
    }
    let states = if tasks.states.is_empty() { &UNSUCCESSFUL[..] } else { &tasks.states };
    let mut effects = Effects::jobs(vec![id]);
    let ended = ended_tasks(db, &job, tasks, states).await?;
    let mut counts = CountChanges::default();
    effects.add(reopen_tasks(db, id, &job, &ended, &mut counts, now).await?);
    let unwritten = match tasks.indices.is_empty() && states.contains(&TaskCondition::Cancelled) {
        true => resume_writing(db, id, &job, now).await?,
        false => 0,
    };
    let unwritten = unwritten + keep_waiting(db, id, &job, (tasks, states), now).await?;
    let retried = ended.len() as u64 + unwritten;
    if retried > 0 {
        db.run_one(REOPEN, &[&id.0, &now.unix_micros()]).await?;
        let ids: Vec<i64> = ended.iter().map(|task| task.id).collect();
        let (reopened, jobs) = elements::reopened::reopen_dependents(db, id, &ids, &mut counts, now).await?;
        effects.add(reopened);
        effects.jobs.extend(reopen_dependents(db, id, &jobs, now).await?);
        effects.jobs.extend(jobs);
    }
    effects.add(counts.write(db).await?);
    let more = ended.len() as u64 == JOB_BATCH;
    Ok(effects.with(JobRetry::Done { retried, more }))
}

const REOPEN: Sql = sql!("UPDATE job SET ended_at = NULL, updated_at = $2 WHERE id = $1");

/// Leaves out tasks that would be cancelled again at once. Locks the tasks, so that they are not deleted meanwhile.
const ENDED: Sql = sql!(concat!(
    "
    SELECT d.task_id, ",
    outcome_code!(),
    " AS outcome, ",
    blocked_by!(),
    " AS blocked
    FROM done d INNER JOIN task t ON t.id = d.task_id INNER JOIN job j ON j.id = t.job_id
    WHERE d.task_id BETWEEN $1 AND $2 AND (",
    outcome_code!(),
    ") = ANY($3) AND NOT ",
    needs_failed!(),
    "
    ORDER BY d.task_id LIMIT $4 FOR NO KEY UPDATE OF t"
));

/// An ended task.
#[derive(Debug, Clone, Copy)]
struct Ended {
    id: i64,
    outcome: TaskOutcome,
    /// The bits of the jobs of which it needs a task that has not succeeded.
    blocked: i64,
}

fn read_ended(row: &Row<'_>) -> Result<Ended, StoreError> {
    let code = i16::try_from(row.value::<i32>("outcome")?).unwrap_or(i16::MAX);
    Ok(Ended {
        id: row.value("task_id")?,
        outcome: TaskOutcome::from_code(code)?,
        blocked: row.value("blocked")?,
    })
}

/// The first of the selected tasks that have ended.
async fn ended_tasks(
    db: Db<'_>,
    job: &Locked,
    tasks: &JobTasks,
    states: &[TaskCondition],
) -> Result<Vec<Ended>, StoreError> {
    let states: Vec<i32> = states.iter().map(|state| i32::from(state.code())).collect();
    let mut ended: Vec<Ended> = Vec::new();
    for (first, last) in ranges::ids(&job.reserved(), tasks, 0) {
        let missing = row_count(JOB_BATCH) - row_count(ended.len());
        if missing == 0 {
            break;
        }
        let params: Params<'_> = &[&first, &last, &List(&states), &missing];
        ended.extend(db.all::<Vec<Ended>, _>(ENDED, params, read_ended).await?);
    }
    Ok(ended)
}

/// Moves ended tasks to the queue.
async fn reopen_tasks(
    db: Db<'_>,
    id: JobId,
    job: &Locked,
    ended: &[Ended],
    counts: &mut CountChanges,
    now: Timestamp,
) -> Result<Effects, StoreError> {
    let free = if job.paused || job.max_running.is_some() { Hold::Held } else { Hold::Free };
    let mut by_hold: BTreeMap<Hold, Vec<i64>> = BTreeMap::new();
    for Ended { id: task, outcome, blocked } in ended {
        let hold = if *blocked == 0 { free } else { Hold::Blocked(*blocked) };
        by_hold.entry(hold).or_default().push(*task);
        let change = CountChange { waiting: 1, ..CountChange::ended(*outcome, -1) };
        counts.add(Some(id), CountChange { blocked: i64::from(*blocked != 0), ..change });
    }
    let mut effects = Effects::default();
    for (hold, tasks) in by_hold {
        effects.add(reopen(db, &tasks, RetriedBy::User, hold, now).await?);
    }
    Ok(effects)
}

/// Lets tasks wait again that were cancelled before they were written; returns their number.
async fn keep_waiting(
    db: Db<'_>,
    id: JobId,
    job: &Locked,
    (tasks, states): (&JobTasks, &[TaskCondition]),
    now: Timestamp,
) -> Result<u64, StoreError> {
    if job.stopped.is_some() || !states.contains(&TaskCondition::Cancelled) {
        return Ok(0);
    }
    let mut skipped = job.skipped.clone();
    let kept = tasks.ranges_between(job.written, job.size).map(|(from, to)| skipped.remove(from, to)).sum();
    if kept > 0 {
        db.run_one(SKIP, &[&id.0, &Json(&skipped), &now.unix_micros()]).await?;
    }
    Ok(kept)
}

const RESUME: Sql = sql!(
    "
    UPDATE job SET stop_cause = NULL, stop_job_id = NULL, skipped = NULL, updated_at = $2,
        expires_at = CASE WHEN expires_at <= $2 THEN NULL ELSE expires_at END
    WHERE id = $1"
);

/// Lets a stopped job write its remaining tasks; returns their number. A job whose dependency failed stays stopped until
/// that one is retried.
async fn resume_writing(db: Db<'_>, id: JobId, job: &Locked, now: Timestamp) -> Result<u64, StoreError> {
    match job.stopped {
        None | Some(StopCause::DependencyFailed) => Ok(0),
        Some(StopCause::Cancelled | StopCause::MaxFailures | StopCause::Expired) => {
            db.run_one(RESUME, &[&id.0, &now.unix_micros()]).await?;
            Ok(job.size - job.written)
        }
    }
}

const REOPEN_DEPENDENTS: Sql = sql!(
    "
    UPDATE job SET stop_cause = NULL, stop_job_id = NULL, ended_at = NULL, updated_at = $2
    WHERE stop_cause = $3 AND stop_job_id = ANY($1)
      AND id IN (SELECT job_id FROM job_dependency WHERE needed_id = ANY($1) AND (NOT met OR kind = 2))
    RETURNING id"
);

/// Lets jobs wait again that were stopped because this one failed, or others whose tasks wait again, and those that were
/// stopped because of them.
async fn reopen_dependents(
    db: Db<'_>,
    id: JobId,
    others: &[JobId],
    now: Timestamp,
) -> Result<Vec<JobId>, StoreError> {
    let mut reopened = Vec::new();
    let mut level: Vec<i64> = others.iter().chain([&id]).map(|job| job.0).collect();
    while !level.is_empty() {
        let params: Params<'_> = &[&List(&level), &now.unix_micros(), &StopCause::DependencyFailed.code()];
        level = db.all(REOPEN_DEPENDENTS, params, only).await?;
        reopened.extend(level.iter().copied().map(JobId));
    }
    Ok(reopened)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_reads_ends_by_their_key() {
        assert_searches(ENDED, &["d", "t", "j", "x", "n", "u", "x", "n", "v", "u"]);
        assert_searches(REOPEN_DEPENDENTS, &["job", "job_dependency"]);
    }
}
