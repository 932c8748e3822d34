//! `DELETE /workers`: a worker signs off.

use axum::extract::State;
use mitosis_store::ops::workers::Fate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::body::InQuery;
use crate::api::reply::Null;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::worker::{LeavingWorker, WorkerProgram};
use crate::error::ApiError;

/// How a worker leaves.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct SignOffQuery {
    /// Its process died, and its guard reports it: its attempts count as lost
    died: bool,
}

pub(super) fn routes() -> Routes {
    Routes::new().delete("/workers", Access::Worker, sign_off, "Sign off")
}

/// Removes the worker at once. A task that it held is requeued, or cancelled after too many lost attempts.
async fn sign_off(
    State(app): State<App>,
    LeavingWorker(worker): LeavingWorker,
    program: WorkerProgram,
    InQuery(query): InQuery<SignOffQuery>,
) -> Result<Null, ApiError> {
    let fate = if query.died { Fate::WorkerLost } else { Fate::Returned };
    app.publish(app.retry.transient(|| app.store.sign_off(worker.uuid, fate, app.now())).await?);
    // Legacy workers announce it themselves.
    if program == WorkerProgram::Native {
        worker.held.into_iter().for_each(|task| app.announcer.left(task));
    }
    Ok(Null)
}
