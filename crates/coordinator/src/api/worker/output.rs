//! `/v1/workers/tasks/{uuid}/output`: live output, on the side of the worker.

use axum::Json;
use axum::extract::State;
use mitosis_domain::worker::Worker;
use mitosis_protocol::output::{MAX_CHUNK_BYTES, OutputChunk, OutputDemand};
use mitosis_protocol::{ErrorCode, Uuid};
use tokio::time::{Instant, timeout_at};

use super::fetch::WaitQuery;
use crate::api::body::{Body, InPath, InQuery};
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::follow::MAX_WAIT;
use crate::app::App;
use crate::auth::worker::WorkerCaller;
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/v1/workers/tasks/{uuid}/output", Access::Worker, demand, "Get the demand of followers")
        .post("/v1/workers/tasks/{uuid}/output", Access::Worker, chunk, "Send output to followers")
}

/// `GET`: the demand of followers. The request is held until there is some, or until `wait` has passed.
async fn demand(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    InPath(uuid): InPath<Uuid>,
    InQuery(WaitQuery { wait }): InQuery<WaitQuery>,
) -> Result<Json<OutputDemand>, ApiError> {
    require_held(&worker, uuid)?;
    let deadline = Instant::now() + wait.unwrap_or_default().min(MAX_WAIT);
    let mut demands = app.output.demands(uuid);
    let wanted = |demand: &OutputDemand| *demand != OutputDemand::default();
    let demand = tokio::select! {
        demand = timeout_at(deadline, demands.wait_for(wanted)) => {
            demand.ok().and_then(Result::ok).map(|demand| *demand).unwrap_or_default()
        }
        () = app.stopping.cancelled() => OutputDemand::default(),
    };
    app.output.end_request(uuid, demands);
    Ok(Json(demand))
}

/// `POST`: output that followers have requested. The reply is the next demand.
async fn chunk(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    InPath(uuid): InPath<Uuid>,
    Body(chunk): Body<OutputChunk>,
) -> Result<Json<OutputDemand>, ApiError> {
    require_held(&worker, uuid)?;
    if chunk.stdout.len().max(chunk.stderr.len()) > MAX_CHUNK_BYTES {
        let text = format!("a chunk can have at most {MAX_CHUNK_BYTES} bytes of each stream");
        return Err(Rejection::new(ErrorCode::TooLarge, text).into());
    }
    Ok(Json(app.output.publish(uuid, &chunk)))
}

/// Rejects a task that the worker does not hold.
fn require_held(worker: &Worker, uuid: Uuid) -> Result<(), Rejection> {
    match worker.held.contains(&uuid) {
        true => Ok(()),
        false => Err(Rejection::new(ErrorCode::LeaseLost, "the worker does not hold this task")),
    }
}
