//! Handles the due runs of schedules.
//!
//! A run is decided here, from a reading of its schedule. [`handle_due`](mitosis_store::ops::Schedules::handle_due) checks
//! that the schedule has not changed since, in the transaction that submits the job. So any number of coordinators may run
//! the pass, and each due time is handled once. Due times are compared with the wall clock: after a step forward, runs are
//! late or missed, and after a step back, nothing is due again.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use mitosis_domain::ids::JobId;
use mitosis_domain::schedule::{DueStep, Timetable};
use mitosis_protocol::Timestamp;
use mitosis_protocol::schedule::{RunOutcome, ScheduleRun};
use mitosis_store::StoreError;
use mitosis_store::ops::Actor;
use mitosis_store::ops::jobs::{JobCancellation, JobTasks};
use mitosis_store::ops::schedules::{DueAction, DueOutcome, Schedule};
use mitosis_store::ops::tasks::STOP_BATCH;

use super::Report;
use crate::app::App;
use crate::error::{ApiError, chain};
use crate::schedules::next_job;

/// How often the pass runs: a run begins at most this much later than it is due.
pub(super) const PERIOD: Duration = Duration::from_secs(1);
/// Schedules in one batch.
const BATCH_SIZE: u64 = 100;
/// Schedules that are handled at the same time.
const CONCURRENCY: usize = 4;
/// Characters of a recorded reason.
const MAX_REASON: usize = 1_000;
/// Steps of one schedule before others have their turn: more than the missed runs that are made up for.
const MAX_STEPS: u32 = 250;

/// Handles all due runs. A failure concerns one schedule, which is tried again in the next pass.
pub(super) async fn pass(app: App) -> Result<Report, ApiError> {
    let (now, mut after, mut submitted, mut failure) = (app.now(), None, 0, None);
    loop {
        let due = app.store.due_schedules(now, after, BATCH_SIZE).await?;
        let is_last = (due.len() as u64) < BATCH_SIZE;
        after = due.last().and_then(|last| Some((last.seen.next_due?, last.id)));
        let mut handled =
            stream::iter(due).map(|schedule| handle(&app, schedule, now)).buffer_unordered(CONCURRENCY);
        while let Some((schedule, outcome)) = handled.next().await {
            match outcome {
                Ok(jobs) => submitted += jobs,
                Err(error) => {
                    tracing::warn!(
                        schedule,
                        cause = chain(&error),
                        "failed to run a schedule; it will be retried"
                    );
                    failure = Some(error);
                }
            }
        }
        if is_last || app.stopping.is_cancelled() {
            break;
        }
    }
    failure.map_or_else(|| Ok(Report::new([("submitted jobs", submitted)])), |error| Err(error.into()))
}

/// Handles the due runs of a schedule; returns its number, and the number of submitted jobs.
async fn handle(app: &App, schedule: Schedule, now: Timestamp) -> (i64, Result<u64, StoreError>) {
    (schedule.id.0, handle_runs(app, schedule, now).await)
}

async fn handle_runs(app: &App, mut schedule: Schedule, now: Timestamp) -> Result<u64, StoreError> {
    let (mut submitted, mut cancelled) = (0, Vec::new());
    for _ in 0..MAX_STEPS {
        let Some(due) = schedule.seen.next_due.filter(|due| *due <= now) else { break };
        let (action, next) = decide(app, &schedule, due, &cancelled, now).await?;
        let handled = app.store.handle_due(schedule.id, schedule.seen, &action, next, app.now()).await?;
        match app.publish(handled) {
            DueOutcome::Recorded(run) => {
                submitted += u64::from(run.outcome == RunOutcome::Submitted);
                report(&schedule, &run);
                schedule.seen.next_due = next;
                cancelled.clear();
            }
            DueOutcome::Running(jobs) => {
                for job in &jobs {
                    cancel(app, Actor::User(schedule.creator), *job).await?;
                }
                cancelled = jobs;
            }
            DueOutcome::Moved => match app.store.schedule(schedule.id).await? {
                Some(found) => schedule = found,
                None => break,
            },
        }
    }
    Ok(submitted)
}

/// What to do about a due run, and when the next one is due.
async fn decide(
    app: &App,
    schedule: &Schedule,
    due: Timestamp,
    cancelled: &[JobId],
    now: Timestamp,
) -> Result<(DueAction, Option<Timestamp>), StoreError> {
    let settings = &schedule.settings;
    let timetable = match Timetable::parse(&settings.cron, &settings.zone) {
        Ok(timetable) => timetable,
        // Another version of the program knew the time zone, perhaps.
        Err(error) => return Ok((DueAction::Fail { reason: error.to_string() }, None)),
    };
    let next = match timetable.step(due, settings.catch_up, now) {
        DueStep::Miss { until, next } => return Ok((DueAction::Miss { until }, next)),
        DueStep::Run { next } => next,
    };
    let action = match next_job(app, schedule).await? {
        Ok(job) => DueAction::Submit { job: Box::new(job), cancelled: cancelled.to_vec() },
        Err(why) => DueAction::Fail { reason: why.to_string().chars().take(MAX_REASON).collect() },
    };
    Ok((action, next))
}

/// Cancels a job that another one replaces. Without the right to do so, nothing happens: the submission is refused as well.
async fn cancel(app: &App, by: Actor, job: JobId) -> Result<(), StoreError> {
    loop {
        let outcome = app.store.cancel_job(by, job, &JobTasks::default(), app.now()).await?;
        let JobCancellation::Done { running, more, .. } = app.publish(outcome) else { return Ok(()) };
        if more {
            continue;
        }
        for batch in running.chunks(STOP_BATCH) {
            app.publish(app.store.request_stops(by, batch, app.now()).await?);
        }
        return Ok(());
    }
}

fn report(schedule: &Schedule, run: &ScheduleRun) {
    let (number, name) = (schedule.id.0, &schedule.name);
    let ScheduleRun { due, outcome, job, reason, .. } = run;
    match outcome {
        RunOutcome::Submitted => {
            tracing::info!(schedule = number, name, %due, job, "submitted the job of a schedule");
        }
        RunOutcome::Skipped | RunOutcome::Missed => {
            tracing::info!(schedule = number, name, %due, ?outcome, reason, "left out a run of a schedule");
        }
        RunOutcome::Refused | RunOutcome::Failed => {
            tracing::warn!(schedule = number, name, %due, ?outcome, reason, "failed to submit the job of a schedule");
        }
    }
}
