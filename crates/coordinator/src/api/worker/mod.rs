//! Routes for workers: the contract protocol (HTTP contract §12), and live output beside it.

mod artifact;
mod attachment;
mod fetch;
mod heartbeat;
mod output;
mod reached;
mod report;
mod sign_off;
mod task;
mod token;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;

use crate::api::routes::Asks::Worker;
use crate::api::routes::Routes;
use crate::auth::worker::IsOurs;
use crate::dispatch::retry::within_timeout_of_caller;

pub(super) fn routes() -> Routes {
    Routes::new()
        .delete("/workers", Worker, sign_off::sign_off)
        .post("/workers/heartbeat", Worker, heartbeat::heartbeat)
        .get("/workers/tasks", Worker, fetch::fetch)
        .post("/workers/tasks", Worker, report::report)
        .get("/workers/tasks/{uuid}", Worker, task::task)
        .get("/workers/tasks/{uuid}/artifacts/{content_type}", Worker, artifact::artifact)
        .get("/workers/tasks/{uuid}/attachments/{*key}", Worker, attachment::attachment)
        .get("/v1/workers/tasks/{uuid}/reached", Worker, reached::reached)
        .post("/v1/workers/token", Worker, token::token)
        .get("/v1/workers/tasks/{uuid}/output", Worker, output::demand)
        .post("/v1/workers/tasks/{uuid}/output", Worker, output::chunk)
        .layered(|router| router.layer(from_fn(hold)))
}

/// Holds requests of legacy workers longer than those of native ones while the database is unavailable.
async fn hold(request: Request, next: Next) -> Response {
    let IsOurs(is_ours) = IsOurs::of(request.headers());
    within_timeout_of_caller(is_ours, next.run(request)).await
}
