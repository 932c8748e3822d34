//! `POST /v1/jobs/{job}/cancel`: cancels tasks of a job, or the whole job.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::User;
use mitosis_domain::permission::Action;
use mitosis_protocol::Uuid;
use mitosis_protocol::job::{CancelJobReply, TaskSelection};
use mitosis_store::ops::Actor;
use mitosis_store::ops::jobs::{Job, JobCancellation, JobTasks, MAX_SKIPPED_RANGES};
use mitosis_store::ops::tasks::{STOP_BATCH, StopRequested};

use super::find::{find, no_such};
use super::selection;
use crate::api::body::{Body, InPath};
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::batches::{Pacer, interrupted};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};

/// Batches without a pause: enough for what a job has written and does not run yet, so that it stops at once.
const PROMPT_BATCHES: usize = 4;

pub(super) fn routes() -> Routes {
    Routes::new().post(
        "/v1/jobs/{job}/cancel",
        Access::Write,
        cancel,
        "Cancel tasks of a job, or the whole job",
    )
}

/// Cancels waiting tasks in batches, and notifies the agents that run others. Without conditions, the whole job is
/// cancelled: its remaining tasks are never written.
async fn cancel(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(job): InPath<i64>,
    Body(request): Body<TaskSelection>,
) -> Result<Json<CancelJobReply>, ApiError> {
    let job = find(&app, &user, job, Action::ManageTasks).await?;
    let tasks = selection::checked(&job, request)?;
    let (mut reply, mut running) = (CancelJobReply::default(), HashSet::new());
    for number in 1.. {
        let pacer = Pacer::begin(&app.request_counter);
        let batch = cancel_batch(&app, &user, &job, &tasks, reply.cancelled).await?;
        reply.cancelled += batch.cancelled;
        let started: Vec<Uuid> = batch.running.into_iter().filter(|task| running.insert(*task)).collect();
        stop_all(&app, &user, &started, &mut reply).await?;
        if !batch.more {
            break;
        }
        if number >= PROMPT_BATCHES {
            pacer.pause().await;
        }
    }
    Ok(Json(reply))
}

/// What one transaction cancelled.
struct Batch {
    cancelled: u64,
    running: Vec<Uuid>,
    more: bool,
}

async fn cancel_batch(
    app: &App,
    user: &User,
    job: &Job,
    tasks: &JobTasks,
    before: u64,
) -> Result<Batch, ApiError> {
    let before = usize::try_from(before).unwrap_or(usize::MAX);
    let outcome = app.store.cancel_job(Actor::User(user.id), job.id, tasks, app.now()).await;
    match app.publish(outcome.map_err(|error| interrupted(error.into(), before, "cancelled"))?) {
        JobCancellation::Done { cancelled, running, more } => Ok(Batch { cancelled, running, more }),
        JobCancellation::TooScattered => Err(Rejection::invalid(format!(
            "more than {MAX_SKIPPED_RANGES} separate ranges of job {} would be cancelled before they can run",
            job.id.0
        ))
        .hint("cancel larger ranges, or the whole job")
        .into()),
        JobCancellation::Denied => Err(no_such(job.id.0).into()),
    }
}

/// Requests the agents of running tasks to stop them. A task that has ended meanwhile is not counted.
async fn stop_all(
    app: &App,
    user: &User,
    tasks: &[Uuid],
    reply: &mut CancelJobReply,
) -> Result<(), ApiError> {
    for batch in tasks.chunks(STOP_BATCH) {
        let outcomes = app.store.request_stops(Actor::User(user.id), batch, app.now()).await?;
        for outcome in app.publish(outcomes) {
            match outcome {
                StopRequested::Agent(_) => reply.stopping += 1,
                StopRequested::LegacyWorker => reply.unstoppable += 1,
                StopRequested::NotRunning => {}
            }
        }
    }
    Ok(())
}
