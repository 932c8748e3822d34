//! `POST /v1/workers/token`: a new token for a worker whose own is about to end.

use axum::Json;
use axum::extract::State;
use mitosis_protocol::auth::TokenReply;
use mitosis_protocol::tokens::RenewWorkerTokenRequest;

use crate::api::body::Body;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::worker::WorkerCaller;

pub(super) fn routes() -> Routes {
    Routes::new().post("/v1/workers/token", Asks::Worker, token, "A token with a later end")
}

/// The earlier token stays valid until its own end. The new one ends with the lifetime that was given at the
/// registration, at the latest; without one it lasts for the coordinator's default.
async fn token(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    Body(request): Body<RenewWorkerTokenRequest>,
) -> Json<TokenReply> {
    let token = app.tokens.renewed(worker.uuid, request.lifetime, worker.token_until, app.now());
    Json(TokenReply { token })
}
