//! `GET /workers/tasks`: the next task, or `null`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use mitosis_domain::older_worker::for_older_worker;
use mitosis_domain::worker::Worker;
use mitosis_protocol::worker::FetchedTask;
use mitosis_protocol::{LeaseToken, Uuid};
use mitosis_store::ops::Changed;
use mitosis_store::ops::dispatch::{Assignment, Claim};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use crate::api::body::InQuery;
use crate::api::reply::OrNull;
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::follow::MAX_WAIT;
use crate::app::App;
use crate::auth::worker::{WorkerCaller, WorkerProgram, WorkerToken, not_registered};
use crate::error::{ApiError, chain};
use crate::secrets::{self, SealedSecrets};

/// How long the database may take for a claim of a legacy worker.
const LEGACY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to rely on notifications: hints between coordinators may get lost.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Query parameters.
#[derive(Deserialize, ToSchema)]
pub(super) struct WaitQuery {
    /// How long to hold the request if there is nothing to return, such as 20s
    #[serde(default, with = "mitosis_protocol::duration::optional_text")]
    #[schema(value_type = Option<String>)]
    pub(super) wait: Option<Duration>,
}

pub(super) fn routes() -> Routes {
    Routes::new().get("/workers/tasks", Access::Worker, fetch, "Get the next task")
}

/// Assigns a task. A worker that holds a running task gets it again. Without a task, the request is held as long as the
/// worker requests.
async fn fetch(
    State(app): State<App>,
    WorkerToken(uuid): WorkerToken,
    program: WorkerProgram,
    InQuery(WaitQuery { wait }): InQuery<WaitQuery>,
) -> Result<OrNull<FetchedTask>, ApiError> {
    let task = match wait {
        Some(wait) => {
            let WorkerCaller(worker) =
                WorkerCaller::of(&app, uuid, app.retry.transient(|| app.store.worker(uuid)).await?).await?;
            claim_or_wait(&app, &worker, wait).await?
        }
        None => claim_without_waiting(&app, uuid).await?,
    };
    if let Some(task) = &task {
        announce_assignment(&app, task, program);
    }
    Ok(OrNull(task))
}

/// Claims a task for a legacy worker, which does not request a wait. Such a worker exits when a request breaks off, so an
/// idle one must have none open when this coordinator crashes. It also exits when a request is rejected, so during an
/// outage of the database it gets no task. If one was assigned nevertheless, the next fetch returns it.
async fn claim_without_waiting(app: &App, uuid: Uuid) -> Result<Option<FetchedTask>, ApiError> {
    let claim = async {
        let WorkerCaller(worker) = WorkerCaller::of(app, uuid, app.store.worker(uuid).await?).await?;
        claim_once(app, &worker).await
    };
    match tokio::time::timeout(LEGACY_TIMEOUT, claim).await {
        Ok(Err(error)) if error.is_outage() => {
            tracing::warn!(cause = chain(&error), worker = %uuid, "failed to claim a task");
            Ok(None)
        }
        Ok(outcome) => outcome,
        Err(_) => {
            tracing::warn!(worker = %uuid, "failed to claim a task: the database does not respond");
            Ok(None)
        }
    }
}

/// Announces an assigned task. Legacy workers announce it themselves.
fn announce_assignment(app: &App, task: &FetchedTask, to: WorkerProgram) {
    if to == WorkerProgram::Native {
        app.announcer.assigned(task.uuid, task.timeout, !task.spec.resources.is_empty());
    }
}

/// Claims a task, and waits for one if there is none.
async fn claim_or_wait(app: &App, worker: &Worker, wait: Duration) -> Result<Option<FetchedTask>, ApiError> {
    let deadline = Instant::now() + wait.min(MAX_WAIT);
    let mut ready = app.ready.subscribe();
    loop {
        if let Some(task) = claim(app, worker).await? {
            return Ok(Some(task));
        }
        let is_due = Instant::now() >= deadline || app.stopping.is_cancelled();
        if is_due {
            return Ok(None);
        }
        tokio::select! {
            _ = timeout_at(deadline.min(Instant::now() + POLL_INTERVAL), ready.notified()) => {}
            () = app.stopping.cancelled() => {}
        }
    }
}

async fn claim(app: &App, worker: &Worker) -> Result<Option<FetchedTask>, ApiError> {
    let token = LeaseToken(app.entropy.number());
    let claim = app.retry.transient(|| app.store.claim_or_resume(worker.id, token, app.moment())).await?;
    claimed(app, worker, claim, token).await
}

async fn claim_once(app: &App, worker: &Worker) -> Result<Option<FetchedTask>, ApiError> {
    let token = LeaseToken(app.entropy.number());
    let claim = app.store.claim_or_resume(worker.id, token, app.moment()).await?;
    claimed(app, worker, claim, token).await
}

/// The task of a claim. A worker that resumes a task has it under the token of an earlier claim, which was counted.
async fn claimed(
    app: &App,
    worker: &Worker,
    claim: Changed<Claim>,
    token: LeaseToken,
) -> Result<Option<FetchedTask>, ApiError> {
    match app.publish(claim) {
        Claim::Assigned(assignment) => {
            if assignment.lease.token == token {
                app.metrics.claimed.inc();
            }
            fetched(app, worker, *assignment).await
        }
        Claim::NoTask | Claim::Stopping => Ok(None),
        Claim::WorkerGone => Err(not_registered(app, worker.uuid).await),
    }
}

/// The task with the values of its secrets among its variables. A task whose secrets are not available ends here.
async fn fetched(
    app: &App,
    worker: &Worker,
    Assignment { mut task, lease }: Assignment,
) -> Result<Option<FetchedTask>, ApiError> {
    let sealed = SealedSecrets::load(app, std::iter::once((task.group, &task.spec))).await?;
    match sealed.values(app, task.group, &task.spec) {
        Ok(values) => secrets::as_variables(&mut task.spec, values),
        Err(why) => {
            if secrets::end_attempt(app, worker.id, lease, why).await? {
                app.announcer.committed(task.uuid, secrets::UNAVAILABLE.msg);
            }
            return Ok(None);
        }
    }
    Ok(Some(FetchedTask {
        id: task.id.0,
        uuid: task.uuid,
        timeout: task.timeout.into(),
        upstream_task_uuid: task.upstream,
        spec: for_older_worker(task.spec),
        secrets: BTreeMap::new(),
    }))
}
