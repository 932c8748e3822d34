//! `DELETE /workers`: a worker leaves.

use axum::extract::State;
use mitosis_store::ops::workers::Fate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::body::InQuery;
use crate::api::reply::Null;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::worker::{IsOurs, LeavingWorker};
use crate::error::ApiError;

/// How a worker leaves.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct SignOffQuery {
    /// Its process died, and its guard reports it: its attempts count as lost
    died: bool,
}

pub(super) fn routes() -> Routes {
    Routes::new().delete("/workers", Asks::Worker, sign_off, "Sign off")
}

/// Its record goes at once; a task that it held is Ready again, or cancelled after too many lost attempts.
async fn sign_off(
    State(app): State<App>,
    LeavingWorker(worker): LeavingWorker,
    IsOurs(is_ours): IsOurs,
    InQuery(query): InQuery<SignOffQuery>,
) -> Result<Null, ApiError> {
    let fate = if query.died { Fate::WorkerLost } else { Fate::Returned };
    app.retry.transient(|| app.store.sign_off(worker.uuid, fate, app.now())).await?;
    app.ready.notify();
    for task in worker.held {
        app.output.changed(task);
        // Published workers announce it by themselves.
        if is_ours {
            app.announcer.left(task);
        }
    }
    Ok(Null)
}
