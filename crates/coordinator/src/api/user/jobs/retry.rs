//! `POST /v1/jobs/{job}/retry`: runs ended tasks of a job again.

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::User;
use mitosis_domain::permission::Action;
use mitosis_protocol::job::{RetryJobReply, TaskCondition, TaskSelection};
use mitosis_store::ops::Actor;
use mitosis_store::ops::jobs::{JOB_BATCH, Job, JobRetry, JobTasks};

use super::find::{find, no_such};
use super::selection;
use crate::api::body::{Body, InPath};
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::batches::{Pacer, interrupted};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().post("/v1/jobs/{job}/retry", Access::Write, retry, "Run ended tasks of a job again")
}

/// Without states, tasks that failed, timed out or were cancelled are meant. Each waits for a further attempt, and its
/// earlier ones stay readable. Without indices, a job that was cancelled or stopped also continues with its remaining
/// tasks.
async fn retry(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(job): InPath<i64>,
    Body(request): Body<TaskSelection>,
) -> Result<Json<RetryJobReply>, ApiError> {
    let job = find(&app, &user, job, Action::ManageTasks).await?;
    let mut tasks = selection::checked(&job, request)?;
    if tasks.states.is_empty() {
        tasks.states = vec![TaskCondition::Failed, TaskCondition::TimedOut, TaskCondition::Cancelled];
    }
    let mut reply = RetryJobReply::default();
    for batch in batches(&job, &tasks) {
        let pacer = Pacer::begin(&app.request_counter);
        reply.retried += retry_batch(&app, &user, &job, &batch, reply.retried).await?;
        pacer.pause().await;
    }
    Ok(Json(reply))
}

/// Retries up to [`JOB_BATCH`] tasks; `before` have been retried already.
async fn retry_batch(
    app: &App,
    user: &User,
    job: &Job,
    batch: &JobTasks,
    before: u64,
) -> Result<u64, ApiError> {
    let before = usize::try_from(before).unwrap_or(usize::MAX);
    let outcome = app.store.retry_job(Actor::User(user.id), job.id, batch, app.now()).await;
    match app.publish(outcome.map_err(|error| interrupted(error.into(), before, "retried"))?) {
        JobRetry::Done { retried, .. } => Ok(retried),
        JobRetry::Denied => Err(no_such(job.id.0).into()),
    }
}

/// Parts of a selection, each of which one call retries. They don't overlap, so that a task that fails again at once is
/// retried only once. The last one is for tasks that are not written: it lets a stopped job continue.
fn batches(job: &Job, tasks: &JobTasks) -> Vec<JobTasks> {
    let mut batches = windows(tasks.ranges_between(0, job.written), JOB_BATCH);
    for batch in &mut batches {
        batch.states.clone_from(&tasks.states);
    }
    // Tasks that were cancelled before they were written; all of them if no index is selected.
    let unwritten = match tasks.indices.is_empty() {
        true => Vec::new(),
        false => tasks.ranges_between(job.written, job.size).collect(),
    };
    if tasks.states.contains(&TaskCondition::Cancelled) && (tasks.indices.is_empty() || !unwritten.is_empty())
    {
        batches.push(JobTasks { indices: unwritten, states: vec![TaskCondition::Cancelled] });
    }
    batches
}

/// Splits ranges into groups of up to `size` indices.
fn windows(ranges: impl Iterator<Item = (u64, u64)>, size: u64) -> Vec<JobTasks> {
    let (mut windows, mut room) = (Vec::<JobTasks>::new(), 0);
    for (mut first, last) in ranges {
        while first <= last {
            if room == 0 {
                windows.push(JobTasks::default());
                room = size;
            }
            let end = last.min(first + room - 1);
            if let Some(window) = windows.last_mut() {
                window.indices.push((first, end));
            }
            room -= end - first + 1;
            first = end + 1;
        }
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_split_into_windows() {
        let split = |ranges: &[(u64, u64)]| -> Vec<Vec<(u64, u64)>> {
            windows(ranges.iter().copied(), 10).into_iter().map(|window| window.indices).collect()
        };
        assert!(split(&[]).is_empty());
        assert_eq!(split(&[(1, 10)]), [[(1, 10)]]);
        assert_eq!(split(&[(1, 21)]), [[(1, 10)], [(11, 20)], [(21, 21)]]);
        assert_eq!(split(&[(1, 3), (5, 5), (8, 15)]), [vec![(1, 3), (5, 5), (8, 13)], vec![(14, 15)]]);
    }
}
