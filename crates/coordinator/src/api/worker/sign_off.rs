//! `DELETE /workers`: a worker leaves.

use axum::extract::State;

use crate::api::reply::Null;
use crate::app::App;
use crate::auth::worker::{IsOurs, LeavingWorker};
use crate::dispatch::patience::patiently;
use crate::error::ApiError;

/// Its record goes at once; a task that it held is Ready again.
pub(super) async fn sign_off(
    State(app): State<App>,
    LeavingWorker(worker): LeavingWorker,
    IsOurs(is_ours): IsOurs,
) -> Result<Null, ApiError> {
    patiently(&app, || app.store.sign_off(worker.uuid, app.now())).await?;
    app.bell.ring();
    for task in worker.held {
        app.output.changed(task);
        // Published workers announce it by themselves.
        if is_ours {
            app.announcer.left(task);
        }
    }
    Ok(Null)
}
