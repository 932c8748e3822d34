//! `GET /workers/tasks`: the next task, or `null`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use mitosis_domain::worker::Worker;
use mitosis_protocol::worker::FetchedTask;
use mitosis_store::Fault;
use mitosis_store::ops::dispatch::{Assignment, Claim};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use crate::api::body::InQuery;
use crate::api::user::tasks::follow::MOST_WAIT;
use crate::app::App;
use crate::auth::caller::invalid_token;
use crate::auth::worker::{IsOurs, WorkerCaller};
use crate::dispatch::patience::patiently;
use crate::error::ApiError;

/// How long the request of a worker is held that does not say how long. Such a worker sleeps for
/// minutes after a `null`, so a few seconds help it and hurt nobody.
const WAIT_UNASKED: Duration = Duration::from_secs(3);
/// How long to rely on the bell; other coordinators ring their own.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What follows the question mark.
#[derive(Deserialize)]
pub(super) struct Wait {
    #[serde(default, with = "mitosis_protocol::duration::optional_text")]
    pub(super) wait: Option<Duration>,
}

/// Hands out a task, and holds the request for a while when there is none. A worker that holds a
/// running task already gets that one again.
pub(super) async fn fetch(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    IsOurs(is_ours): IsOurs,
    InQuery(Wait { wait }): InQuery<Wait>,
) -> Result<Json<Option<FetchedTask>>, ApiError> {
    let task = hold(&app, &worker, wait.unwrap_or(WAIT_UNASKED)).await?;
    if let Some(task) = &task {
        handed_out(&app, task, is_ours);
    }
    Ok(Json(task))
}

/// Tells those who watch that a task was handed out. Published workers announce it by themselves.
fn handed_out(app: &App, task: &FetchedTask, to_ours: bool) {
    app.news.ring();
    if to_ours {
        app.announcer.assigned(task.uuid, task.timeout, !task.spec.resources.is_empty());
    }
}

/// A task for a worker, as soon as there is one.
async fn hold(app: &App, worker: &Worker, wait: Duration) -> Result<Option<FetchedTask>, ApiError> {
    let deadline = Instant::now() + wait.min(MOST_WAIT);
    let mut bell = app.bell.listen();
    loop {
        if let Some(task) = claim(app, worker).await? {
            return Ok(Some(task));
        }
        let over = Instant::now() >= deadline || app.stopping.is_cancelled();
        if over {
            return Ok(None);
        }
        tokio::select! {
            _ = timeout_at(deadline.min(Instant::now() + LOOK_AGAIN), bell.heard()) => {}
            () = app.stopping.cancelled() => {}
        }
    }
}

async fn claim(app: &App, worker: &Worker) -> Result<Option<FetchedTask>, ApiError> {
    let token = app.entropy.number();
    match patiently(app, || app.store.claim_or_resume(worker.id, token, app.now())).await? {
        Claim::Assigned(assigned) => Ok(assigned.into_iter().next().map(fetched).transpose()?),
        Claim::Stopping => Ok(None),
        Claim::WorkerGone => Err(invalid_token().into()),
    }
}

fn fetched(Assignment { task, .. }: Assignment) -> Result<FetchedTask, Fault> {
    let seconds = u64::try_from(task.timeout_seconds).map_err(|error| Fault::Unexpected(error.into()))?;
    Ok(FetchedTask {
        id: task.id.0,
        uuid: task.uuid,
        timeout: Duration::from_secs(seconds),
        upstream_task_uuid: task.upstream,
        spec: task.spec,
    })
}
