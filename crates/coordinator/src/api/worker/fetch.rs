//! `GET /workers/tasks`: the next task, or `null`.

use std::time::Duration;

use axum::extract::State;
use mitosis_domain::worker::Worker;
use mitosis_protocol::Uuid;
use mitosis_protocol::worker::FetchedTask;
use mitosis_store::StoreError;
use mitosis_store::ops::dispatch::{Assignment, Claim};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use crate::api::body::InQuery;
use crate::api::reply::OrNull;
use crate::api::routes::{Asks, Routes};
use crate::api::user::tasks::follow::MOST_WAIT;
use crate::app::App;
use crate::auth::worker::{IsOurs, WorkerCaller, WorkerToken, not_registered};
use crate::error::{ApiError, chain};

/// How long a published worker waits for an answer that it may have without the database.
const GLANCE: Duration = Duration::from_secs(2);
/// How long to rely on notifications: hints between coordinators may get lost.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// What follows the question mark.
#[derive(Deserialize, ToSchema)]
pub(super) struct Wait {
    /// How long to hold the request when there is nothing, such as 20s
    #[serde(default, with = "mitosis_protocol::duration::optional_text")]
    #[schema(value_type = Option<String>)]
    pub(super) wait: Option<Duration>,
}

pub(super) fn routes() -> Routes {
    Routes::new().get("/workers/tasks", Asks::Worker, fetch, "The next task")
}

/// Hands out a task. A worker that holds a running task already gets that one again. When there is none,
/// the request is held for as long as the worker asks for.
async fn fetch(
    State(app): State<App>,
    WorkerToken(uuid): WorkerToken,
    IsOurs(is_ours): IsOurs,
    InQuery(Wait { wait }): InQuery<Wait>,
) -> Result<OrNull<FetchedTask>, ApiError> {
    let task = match wait {
        Some(wait) => {
            let WorkerCaller(worker) =
                WorkerCaller::of(&app, uuid, app.retry.transient(|| app.store.worker(uuid)).await?).await?;
            hold(&app, &worker, wait).await?
        }
        None => glance(&app, uuid).await?,
    };
    if let Some(task) = &task {
        handed_out(&app, task, is_ours);
    }
    Ok(OrNull(task))
}

/// What there is now. A worker that does not ask for its request to be held is a published one. It exits
/// when a request that is under way breaks off, so an idle one should have none when this coordinator
/// crashes; and it exits at a refusal, so while the database is away, there is no task. Should one have been
/// handed out after all, the next fetch brings it again.
async fn glance(app: &App, uuid: Uuid) -> Result<Option<FetchedTask>, ApiError> {
    let look = async {
        let WorkerCaller(worker) = WorkerCaller::of(app, uuid, app.store.worker(uuid).await?).await?;
        claim_once(app, &worker).await
    };
    match tokio::time::timeout(GLANCE, look).await {
        Ok(Err(error)) if error.is_outage() => {
            tracing::warn!(cause = chain(&error), worker = %uuid, "failed to claim a task");
            Ok(None)
        }
        Ok(outcome) => outcome,
        Err(_) => {
            tracing::warn!(worker = %uuid, "failed to claim a task: the database does not answer");
            Ok(None)
        }
    }
}

/// Tells those who watch that a task was handed out. Published workers announce it by themselves.
fn handed_out(app: &App, task: &FetchedTask, to_ours: bool) {
    app.changed.notify();
    app.metrics.claimed.inc();
    if to_ours {
        app.announcer.assigned(task.uuid, task.timeout, !task.spec.resources.is_empty());
    }
}

/// A task for a worker, as soon as there is one.
async fn hold(app: &App, worker: &Worker, wait: Duration) -> Result<Option<FetchedTask>, ApiError> {
    let deadline = Instant::now() + wait.min(MOST_WAIT);
    let mut ready = app.ready.subscribe();
    loop {
        if let Some(task) = claim(app, worker).await? {
            return Ok(Some(task));
        }
        let over = Instant::now() >= deadline || app.stopping.is_cancelled();
        if over {
            return Ok(None);
        }
        tokio::select! {
            _ = timeout_at(deadline.min(Instant::now() + POLL_INTERVAL), ready.notified()) => {}
            () = app.stopping.cancelled() => {}
        }
    }
}

async fn claim(app: &App, worker: &Worker) -> Result<Option<FetchedTask>, ApiError> {
    let token = app.entropy.number();
    claimed(
        app,
        worker,
        app.retry.transient(|| app.store.claim_or_resume(worker.id, token, app.moment())).await?,
    )
    .await
}

async fn claim_once(app: &App, worker: &Worker) -> Result<Option<FetchedTask>, ApiError> {
    claimed(app, worker, app.store.claim_or_resume(worker.id, app.entropy.number(), app.moment()).await?)
        .await
}

async fn claimed(app: &App, worker: &Worker, claim: Claim) -> Result<Option<FetchedTask>, ApiError> {
    match claim {
        Claim::Assigned(assigned) => Ok(Some(fetched(*assigned)?)),
        Claim::NoTask | Claim::Stopping => Ok(None),
        Claim::WorkerGone => Err(not_registered(app, worker.uuid).await),
    }
}

fn fetched(Assignment { task, .. }: Assignment) -> Result<FetchedTask, StoreError> {
    let seconds =
        u64::try_from(task.timeout_seconds).map_err(|error| StoreError::Unexpected(error.into()))?;
    Ok(FetchedTask {
        id: task.id.0,
        uuid: task.uuid,
        timeout: Duration::from_secs(seconds),
        upstream_task_uuid: task.upstream,
        spec: task.spec,
    })
}
