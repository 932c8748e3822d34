//! `GET /v1/workers/tasks/{uuid}/reached`: waits until a watched task reaches a state.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use mitosis_domain::task::{Attempt, Phase, Task};
use mitosis_domain::watch::{passed, presumed, reached as stored};
use mitosis_domain::worker::WorkerKind;
use mitosis_protocol::agent::ReachedReply;
use mitosis_protocol::{ExecState, Uuid};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};
use utoipa::ToSchema;

use super::task::{Reference, require_reference};
use crate::api::body::{InPath, InQuery};
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::follow::MAX_WAIT;
use crate::app::App;
use crate::auth::worker::WorkerCaller;
use crate::dispatch::peer_notifier::Hint;
use crate::error::{ApiError, Rejection, ResourceKind};
use crate::events::relay::RENEW_AFTER;
use crate::events::states::Watching;

/// How long to rely on notifications. Ends, and states of legacy workers, are polled.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Query parameters.
#[derive(Deserialize, ToSchema)]
struct AwaitQuery {
    /// The state, such as ExecSpawned
    target: ExecState,
    /// How long to hold the request if there is nothing to return, such as 20s
    #[serde(default, with = "mitosis_protocol::duration::optional_text")]
    #[schema(value_type = Option<String>)]
    wait: Option<Duration>,
}

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/v1/workers/tasks/{uuid}/reached",
        Access::Worker,
        await_state,
        "Wait until a watched task reaches a state",
    )
}

/// Replies when the task has reached the state, or when `wait` has passed.
async fn await_state(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    InPath(uuid): InPath<Uuid>,
    InQuery(AwaitQuery { target, wait }): InQuery<AwaitQuery>,
) -> Result<Json<ReachedReply>, ApiError> {
    let deadline = Instant::now() + wait.unwrap_or_default().min(MAX_WAIT);
    let mut watching = app.states.watch(uuid);
    let mut requested: Option<Instant> = None;
    loop {
        let task = app
            .retry
            .transient(|| app.store.task(uuid))
            .await?
            .ok_or_else(|| Rejection::no_such(ResourceKind::Task, uuid))?;
        require_reference(&app, &worker, &task, Reference::Watched).await?;
        if has_reached(&app, &task, target, &mut watching).await? {
            return Ok(Json(ReachedReply { reached: true }));
        }
        if Instant::now() >= deadline || app.stopping.is_cancelled() {
            return Ok(Json(ReachedReply { reached: false }));
        }
        if let Phase::Running(attempt) = task.phase
            && requested.is_none_or(|at| at.elapsed() >= RENEW_AFTER)
        {
            request_states(&app, &task, attempt);
            requested = Some(Instant::now());
        }
        tokio::select! {
            () = watching.changed() => {}
            () = sleep_until(deadline.min(Instant::now() + POLL_INTERVAL)) => {}
            () = app.stopping.cancelled() => {}
        }
    }
}

/// Requests the live states of a task from its agent, on this or another coordinator.
fn request_states(app: &App, task: &Task, attempt: Attempt) {
    if !app.agents.watch(attempt.worker, task.uuid, task.timeout) {
        app.peers.send(Hint::Watch { agent: attempt.worker, task: task.uuid, timeout: task.timeout });
    }
}

async fn has_reached(
    app: &App,
    task: &Task,
    target: ExecState,
    watching: &mut Watching<'_>,
) -> Result<bool, ApiError> {
    let result = match &task.phase {
        Phase::Ended(ending) => Some(ending.result),
        _ => None,
    };
    if stored(task.phase.state(), result, target) {
        return Ok(true);
    }
    let now = match task.phase {
        Phase::Running(attempt) => match announced(app, task.uuid, attempt, watching).await {
            None => at_least(app, task, attempt).await?,
            announced => announced,
        },
        Phase::Reported(attempt, _) => announced(app, task.uuid, attempt, watching).await,
        Phase::Pending | Phase::Ready | Phase::Ended(_) => None,
    };
    Ok(now.is_some_and(|now| passed(now, target)))
}

/// The live state of a task that its agent reports or a legacy worker announces.
async fn announced(
    app: &App,
    task: Uuid,
    attempt: Attempt,
    watching: &mut Watching<'_>,
) -> Option<ExecState> {
    match watching.of(attempt.worker) {
        None => app.announcer.announced(task).await,
        reported => reported,
    }
}

/// The state that a task must have reached without an announcement. A legacy worker starts a task at once; a native agent
/// may hold it without starting it.
async fn at_least(app: &App, task: &Task, attempt: Attempt) -> Result<Option<ExecState>, ApiError> {
    let holder = app.retry.transient(|| app.store.worker(attempt.worker)).await?;
    let is_published = holder.is_some_and(|holder| holder.kind() == WorkerKind::Legacy);
    Ok(is_published.then(|| presumed(&task.spec, app.now().since(attempt.claimed_at))))
}
