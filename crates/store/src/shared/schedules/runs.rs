//! Runs of schedules: each is handled in the transaction that sets the next due time.

use mitosis_domain::ids::{GroupId, JobId, ScheduleId, UserId};
use mitosis_domain::permission::Action as Right;
use mitosis_protocol::Timestamp;
use mitosis_protocol::job::{NeedKind, NeededJob, NewNeed};
use mitosis_protocol::schedule::{KEPT_RUNS, MAX_QUEUED, Overlap, RunOutcome, ScheduleRun};

use super::super::jobs::submit::{PreparedJob, accept};
use super::super::rights;
use crate::StoreError;
use crate::db::{Db, Params, Sql, sql};
use crate::enum_codes::{Code, row_count};
use crate::ops::jobs::JobSubmission;
use crate::ops::schedules::{DueOutcome, RequestedRun, SeenSchedule};
use crate::ops::{Actor, Changed, Effects};

/// A due run to handle.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) seen: SeenSchedule,
    pub(super) action: Action,
    pub(super) next_due: Option<Timestamp>,
}

/// What to do about it.
#[derive(Debug)]
pub(super) enum Action {
    Submit { job: Box<PreparedJob>, cancelled: Vec<JobId> },
    Miss { until: Timestamp },
    Fail { reason: String },
}

/// A schedule whose row is locked until the end of the transaction.
pub(super) struct Locked {
    pub(super) group: GroupId,
    creator: UserId,
    overlap: Overlap,
    pub(super) seen: SeenSchedule,
}

const LOCK: Sql = sql!(
    "
    SELECT group_id, creator_id, overlap, version, next_due FROM schedule WHERE id = $1 FOR UPDATE"
);

/// Locks the row of a schedule.
pub(super) async fn lock(db: Db<'_>, id: ScheduleId) -> Result<Option<Locked>, StoreError> {
    db.optional(LOCK, &[&id.0], |row| {
        Ok(Locked {
            group: GroupId(row.value("group_id")?),
            creator: UserId(row.value("creator_id")?),
            overlap: row.code("overlap")?,
            seen: SeenSchedule { version: row.value("version")?, next_due: row.optional_time("next_due")? },
        })
    })
    .await
}

/// Handles a due run, unless another coordinator has.
pub(super) async fn handle(
    db: Db<'_>,
    id: ScheduleId,
    run: &Run,
    now: Timestamp,
) -> Result<Changed<DueOutcome>, StoreError> {
    let moved = Ok(Changed::nothing(DueOutcome::Moved));
    let Some(schedule) = lock(db, id).await? else { return moved };
    let Some(due) = schedule.seen.next_due.filter(|_| schedule.seen == run.seen) else { return moved };
    let (mut handled, mut effects) = (new_run(due, now), Effects::default());
    match &run.action {
        Action::Miss { until } => {
            handled.until = (*until != due).then_some(*until);
            leave_out(&mut handled, RunOutcome::Missed, MISSED);
        }
        Action::Fail { reason } => leave_out(&mut handled, RunOutcome::Failed, reason),
        Action::Submit { job, cancelled } => {
            match submit_after_others(db, id, &schedule, (job, cancelled), now).await? {
                Attempted::Running(jobs) => return Ok(Changed::nothing(DueOutcome::Running(jobs))),
                Attempted::Gone => return moved,
                Attempted::Skipped(reason) => leave_out(&mut handled, RunOutcome::Skipped, &reason),
                Attempted::Refused(reason) => leave_out(&mut handled, RunOutcome::Refused, &reason),
                Attempted::Submitted(submitted) => handled.job = Some(effects.keep(submitted).0),
            }
        }
    }
    record(db, id, &handled, run.next_due).await?;
    Ok(effects.with(DueOutcome::Recorded(handled)))
}

const MISSED: &str = "no coordinator ran at that time";

const REFUSED: &str =
    "the creator of the schedule may not submit to the group any more, or not see what the task refers to";

/// A run that submits a job.
fn new_run(due: Timestamp, now: Timestamp) -> ScheduleRun {
    ScheduleRun {
        due,
        until: None,
        handled_at: now,
        requested: false,
        outcome: RunOutcome::Submitted,
        job: None,
        reason: None,
    }
}

/// Makes it a run without a job.
fn leave_out(run: &mut ScheduleRun, outcome: RunOutcome, reason: &str) {
    run.outcome = outcome;
    run.reason = Some(reason.to_owned());
}

/// What came of an attempt to submit a job.
enum Attempted {
    Submitted(Changed<JobId>),
    /// Others have not ended: why nothing was submitted.
    Skipped(String),
    /// The creator may not submit it: why.
    Refused(String),
    /// The caller has to cancel these first.
    Running(Vec<JobId>),
    /// A job that had not ended is gone by now: the attempt has to be repeated.
    Gone,
}

/// Submits a job with regard to those that have not ended.
async fn submit_after_others(
    db: Db<'_>,
    id: ScheduleId,
    schedule: &Locked,
    (job, cancelled): (&PreparedJob, &[JobId]),
    now: Timestamp,
) -> Result<Attempted, StoreError> {
    // A creator without rights does not see the other jobs.
    if !rights::may(db, Actor::User(schedule.creator), schedule.group, Right::Submit).await? {
        return Ok(Attempted::Refused(REFUSED.to_owned()));
    }
    let active = active(db, id).await?;
    match (schedule.overlap, &active[..]) {
        (Overlap::Skip, [first, ..]) => {
            return Ok(Attempted::Skipped(format!("job {} has not ended", first.0)));
        }
        (Overlap::Replace, active) if !active.iter().all(|job| cancelled.contains(job)) => {
            return Ok(Attempted::Running(active.to_vec()));
        }
        (_, active) if active.len() >= MAX_QUEUED => {
            return Ok(Attempted::Skipped(format!("{} jobs of the schedule have not ended", active.len())));
        }
        _ => {}
    }
    match active.is_empty() {
        true => submit(db, schedule.creator, job, now).await,
        false => submit(db, schedule.creator, &after(job, &active), now).await,
    }
}

/// The job, when others have to end first. Its tasks are written later.
fn after(job: &PreparedJob, others: &[JobId]) -> PreparedJob {
    let mut waiting = PreparedJob { job: job.job.without_tasks(), rows: Vec::new() };
    let need = |job: &JobId| NewNeed { on: NeededJob::Job(job.0), kind: NeedKind::Ended };
    waiting.job.needs = others.iter().map(need).collect();
    waiting
}

async fn submit(
    db: Db<'_>,
    creator: UserId,
    job: &PreparedJob,
    now: Timestamp,
) -> Result<Attempted, StoreError> {
    let submission = accept(db, creator, std::slice::from_ref(job), None, now).await?;
    let id = match submission.value() {
        JobSubmission::Accepted(ids) => ids.first().copied(),
        JobSubmission::UnknownJob(_) => return Ok(Attempted::Gone),
        JobSubmission::Refused(refusal) => return Ok(Attempted::Refused(refusal.to_string())),
        JobSubmission::Denied
        | JobSubmission::KeyReused
        | JobSubmission::Replayed(_)
        // A scheduled job needs only the ends of earlier ones.
        | JobSubmission::UnequalLengths { .. }
        | JobSubmission::SeveralTasks { .. } => None,
    };
    let refused = || Attempted::Refused(REFUSED.to_owned());
    Ok(id.map_or_else(refused, |id| Attempted::Submitted(submission.map(|_| id))))
}

const ACTIVE: Sql = sql!(
    "
    SELECT j.id FROM schedule_run r INNER JOIN job j ON j.id = r.job_id
    WHERE r.schedule_id = $1 AND j.ended_at IS NULL ORDER BY j.id"
);

/// The jobs of a schedule that have not ended.
async fn active(db: Db<'_>, id: ScheduleId) -> Result<Vec<JobId>, StoreError> {
    db.all(ACTIVE, &[&id.0], |row| row.get(0).map(JobId)).await
}

/// Submits a job of a schedule at once.
pub(super) async fn run_now(
    db: Db<'_>,
    by: Actor,
    id: ScheduleId,
    job: &PreparedJob,
    now: Timestamp,
) -> Result<Changed<RequestedRun>, StoreError> {
    let Some(schedule) = lock(db, id).await? else { return Ok(Changed::nothing(RequestedRun::Denied)) };
    if !rights::may(db, by, schedule.group, Right::ManageTasks).await? {
        return Ok(Changed::nothing(RequestedRun::Denied));
    }
    let mut run = ScheduleRun { requested: true, ..new_run(now, now) };
    let submitted = match submit(db, schedule.creator, job, now).await? {
        Attempted::Submitted(submitted) => {
            run.job = Some(submitted.value().0);
            submitted.map(RequestedRun::Submitted)
        }
        attempted => {
            let reason = match attempted {
                Attempted::Refused(reason) => reason,
                _ => REFUSED.to_owned(),
            };
            leave_out(&mut run, RunOutcome::Refused, &reason);
            Changed::nothing(RequestedRun::CreatorRefused)
        }
    };
    record(db, id, &run, schedule.seen.next_due).await?;
    Ok(submitted)
}

const ADVANCE: Sql = sql!("UPDATE schedule SET next_due = $2, runs = runs + 1 WHERE id = $1 RETURNING runs");

const INSERT_RUN: Sql = sql!(
    "
    INSERT INTO schedule_run (schedule_id, number, due, until, handled_at, requested, outcome, job_id, reason)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
);

/// Runs whose jobs have not ended are kept: the next run has to know of them.
const DELETE_OLD: Sql = sql!(
    "
    DELETE FROM schedule_run
    WHERE schedule_id = $1 AND number <= $2
      AND NOT EXISTS (SELECT 1 FROM job j WHERE j.id = job_id AND j.ended_at IS NULL)"
);

/// Records a run, and sets the next due time.
async fn record(
    db: Db<'_>,
    id: ScheduleId,
    run: &ScheduleRun,
    next_due: Option<Timestamp>,
) -> Result<(), StoreError> {
    let next_due = next_due.map(Timestamp::unix_micros);
    let number: i64 = db.one(ADVANCE, &[&id.0, &next_due], |row| row.get(0)).await?;
    let params: Params<'_> = &[
        &id.0,
        &number,
        &run.due.unix_micros(),
        &run.until.map(Timestamp::unix_micros),
        &run.handled_at.unix_micros(),
        &run.requested,
        &run.outcome.code(),
        &run.job,
        &run.reason,
    ];
    db.run_one(INSERT_RUN, params).await?;
    db.run(DELETE_OLD, &[&id.0, &(number - row_count(KEPT_RUNS))]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_the_schedule() {
        assert_searches(LOCK, &["schedule"]);
        assert_searches(ACTIVE, &["r", "j"]);
        assert_searches(DELETE_OLD, &["schedule_run", "j"]);
    }
}
