//! `/v1/workers/tasks/{uuid}/output`: the worker's end of live output.

use axum::Json;
use axum::extract::State;
use mitosis_domain::worker::Worker;
use mitosis_protocol::output::{MAX_CHUNK_BYTES, OutputChunk, OutputDemand};
use mitosis_protocol::{ErrorCode, Uuid};
use tokio::time::{Instant, timeout_at};

use super::fetch::Wait;
use crate::api::body::{Body, InPath, InQuery};
use crate::api::routes::{Asks, Routes};
use crate::api::user::tasks::follow::MOST_WAIT;
use crate::app::App;
use crate::auth::worker::WorkerCaller;
use crate::error::{ApiError, Refusal};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/v1/workers/tasks/{uuid}/output", Asks::Worker, demand, "What followers want to see")
        .post("/v1/workers/tasks/{uuid}/output", Asks::Worker, chunk, "Output for followers")
}

/// `GET`: what followers want; held until somebody wants something, or `wait` is over.
async fn demand(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    InPath(uuid): InPath<Uuid>,
    InQuery(Wait { wait }): InQuery<Wait>,
) -> Result<Json<OutputDemand>, ApiError> {
    holds(&worker, uuid)?;
    let deadline = Instant::now() + wait.unwrap_or_default().min(MOST_WAIT);
    let mut demands = app.output.demands(uuid);
    let wanted = |demand: &OutputDemand| *demand != OutputDemand::default();
    let demand = tokio::select! {
        demand = timeout_at(deadline, demands.wait_for(wanted)) => {
            demand.ok().and_then(Result::ok).map(|demand| *demand).unwrap_or_default()
        }
        () = app.stopping.cancelled() => OutputDemand::default(),
    };
    app.output.worker_left(uuid, demands);
    Ok(Json(demand))
}

/// `POST`: bytes that a demand asked for; the reply is the next demand.
async fn chunk(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    InPath(uuid): InPath<Uuid>,
    Body(chunk): Body<OutputChunk>,
) -> Result<Json<OutputDemand>, ApiError> {
    holds(&worker, uuid)?;
    if chunk.stdout.len().max(chunk.stderr.len()) > MAX_CHUNK_BYTES {
        let text = format!("a chunk has at most {MAX_CHUNK_BYTES} bytes of each stream");
        return Err(Refusal::new(ErrorCode::TooLarge, text).into());
    }
    Ok(Json(app.output.publish(uuid, &chunk)))
}

/// A worker speaks only for tasks that it holds.
fn holds(worker: &Worker, uuid: Uuid) -> Result<(), Refusal> {
    match worker.held.contains(&uuid) {
        true => Ok(()),
        false => Err(Refusal::new(ErrorCode::LeaseLost, "the worker does not hold this task")),
    }
}
