//! `GET /v1/workers/tasks/{uuid}/reached`: whether a task that another one watches has come far enough.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use mitosis_domain::task::{Attempt, Phase, Task};
use mitosis_domain::watch::{passed, presumed, reached as stored};
use mitosis_protocol::agent::ReachedReply;
use mitosis_protocol::{ExecState, Uuid};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};
use utoipa::ToSchema;

use super::task::{Need, needed};
use crate::api::body::{InPath, InQuery};
use crate::api::routes::{Asks, Routes};
use crate::api::user::tasks::follow::MOST_WAIT;
use crate::app::App;
use crate::auth::worker::WorkerCaller;
use crate::dispatch::peer_notifier::Hint;
use crate::error::{ApiError, Refusal, ResourceKind};
use crate::events::relay::ASK_AGAIN;
use crate::events::states::Watching;

/// How long to rely on being told; ends and states of published workers are looked for.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// What follows the question mark.
#[derive(Deserialize, ToSchema)]
struct Until {
    /// The state, such as ExecSpawned
    target: ExecState,
    /// How long to hold the request when there is nothing, such as 20s
    #[serde(default, with = "mitosis_protocol::duration::optional_text")]
    #[schema(value_type = Option<String>)]
    wait: Option<Duration>,
}

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/v1/workers/tasks/{uuid}/reached",
        Asks::Worker,
        reached,
        "Whether a watched task has come far enough",
    )
}

/// Answers when the task has come so far, or when `wait` is over.
async fn reached(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    InPath(uuid): InPath<Uuid>,
    InQuery(Until { target, wait }): InQuery<Until>,
) -> Result<Json<ReachedReply>, ApiError> {
    let deadline = Instant::now() + wait.unwrap_or_default().min(MOST_WAIT);
    let mut watching = app.states.watch(uuid);
    let mut asked: Option<Instant> = None;
    loop {
        let task = app
            .retry
            .transient(|| app.store.task(uuid))
            .await?
            .ok_or_else(|| Refusal::no_such(ResourceKind::Task, uuid))?;
        needed(&app, &worker, &task, Need::Watched).await?;
        if has_reached(&app, &task, target, &mut watching).await? {
            return Ok(Json(ReachedReply { reached: true }));
        }
        if Instant::now() >= deadline || app.stopping.is_cancelled() {
            return Ok(Json(ReachedReply { reached: false }));
        }
        if let Phase::Running(attempt) = task.phase
            && asked.is_none_or(|asked| asked.elapsed() >= ASK_AGAIN)
        {
            ask(&app, &task, attempt);
            asked = Some(Instant::now());
        }
        tokio::select! {
            () = watching.changed() => {}
            () = sleep_until(deadline.min(Instant::now() + POLL_INTERVAL)) => {}
            () = app.stopping.cancelled() => {}
        }
    }
}

/// Has the agent that holds a task say where it stands, here or at another coordinator.
fn ask(app: &App, task: &Task, attempt: Attempt) {
    let timeout = task.timeout_seconds.unsigned_abs();
    if !app.agents.watch(attempt.worker, task.uuid, Duration::from_secs(timeout)) {
        app.peers.send(Hint::Watch { agent: attempt.worker, task: task.uuid, timeout });
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

/// Where a task stands as its agent says, or as a published worker announces.
async fn announced(
    app: &App,
    task: Uuid,
    attempt: Attempt,
    watching: &mut Watching<'_>,
) -> Option<ExecState> {
    match watching.of(attempt.worker) {
        None => app.announcer.announced(task).await,
        said => said,
    }
}

/// Where a task stands at least of which nothing is announced. A published worker must have come so far by
/// now; an agent of ours may have it in hand without having started it.
async fn at_least(app: &App, task: &Task, attempt: Attempt) -> Result<Option<ExecState>, ApiError> {
    let holder = app.retry.transient(|| app.store.worker(attempt.worker)).await?;
    let is_published = holder.is_some_and(|holder| holder.slots.is_none());
    Ok(is_published.then(|| presumed(&task.spec, app.now().since(attempt.claimed_at))))
}
