//! `POST /v1/workers/next`: ends a task and hands out another, in one request.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use mitosis_domain::ids::TaskId;
use mitosis_domain::task::ExecEnd;
use mitosis_domain::worker::Worker;
use mitosis_protocol::TaskResultMessage;
use mitosis_protocol::agent::{Done, NextReply, NextRequest};
use mitosis_protocol::worker::FetchedTask;
use mitosis_store::ops::dispatch::{Claim, Completed, Completion, Holder};

use super::fetch::{fetched, handed_out, hold};
use super::report::all_arrived;
use crate::api::body::Body;
use crate::app::App;
use crate::auth::caller::invalid_token;
use crate::auth::worker::WorkerCaller;
use crate::dispatch::patience::patiently;
use crate::error::ApiError;

/// The end counts at once, also while the request is held because nothing else waits.
pub(super) async fn next(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    Body(request): Body<NextRequest>,
) -> Result<Json<NextReply>, ApiError> {
    let mut accepted = None;
    if let Some(done) = request.done {
        let (taken, task) = end_and_claim(&app, &worker, &done).await?;
        accepted = Some(taken);
        if task.is_some() || !taken {
            return Ok(Json(NextReply { accepted, task }));
        }
    }
    let task = match hold(&app, &worker, request.wait.unwrap_or(Duration::ZERO)).await {
        // The worker was to stop after this task: the end is taken, and it is told the next time.
        Err(ApiError::Refused(_)) if accepted.is_some() => None,
        task => task?,
    };
    if let Some(task) = &task {
        handed_out(&app, task, true);
    }
    Ok(Json(NextReply { accepted, task }))
}

async fn end_and_claim(
    app: &App,
    worker: &Worker,
    done: &Done,
) -> Result<(bool, Option<FetchedTask>), ApiError> {
    let holder = Holder::Worker(worker.id, TaskId(done.id));
    let end = if done.cancelled { ExecEnd::Cancelled } else { ExecEnd::Finished };
    let mut result = done.result;
    if !all_arrived(app, holder).await {
        result.msg = result.msg.or(Some(TaskResultMessage::UploadResultTimeout));
    }
    let completion = Completion { holder, end: Some(end), result };
    let token = app.entropy.number();
    let operation = || app.store.complete_and_claim(&completion, worker.id, token, app.now());
    let (completed, claim) = patiently(app, operation).await?;
    let taken = matches!(completed, Completed::Committed | Completed::Replayed);
    if taken {
        app.bell.ring();
        for task in &worker.held {
            app.output.changed(*task);
            app.announcer.committed(*task, result.msg);
        }
    }
    let task = match claim {
        Claim::Assigned(assigned) => assigned.into_iter().next().map(fetched).transpose()?,
        Claim::Stopping => None,
        Claim::WorkerGone if taken => None,
        Claim::WorkerGone => return Err(invalid_token().into()),
    };
    if let Some(task) = &task {
        handed_out(app, task, true);
    }
    Ok((taken, task))
}
