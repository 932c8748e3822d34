//! `POST /v1/workers/token`: renews the token of a worker.

use axum::Json;
use axum::extract::State;
use mitosis_protocol::auth::TokenReply;
use mitosis_protocol::tokens::RenewWorkerTokenRequest;

use crate::api::body::Body;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::worker::WorkerCaller;

pub(super) fn routes() -> Routes {
    Routes::new().post("/v1/workers/token", Access::Worker, token, "Renew the token of a worker")
}

/// The earlier token stays valid until it expires. The new one lasts no longer than the lifetime of the registration, or
/// for the default of the coordinator.
async fn token(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    Body(request): Body<RenewWorkerTokenRequest>,
) -> Json<TokenReply> {
    let token = app.tokens.renewed(worker.uuid, request.lifetime, worker.token_until, app.now());
    Json(TokenReply { token })
}
