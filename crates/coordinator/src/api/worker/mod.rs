//! Routes for workers: the contract protocol (HTTP contract §12), and live output beside it.

mod artifact;
mod attachment;
mod fetch;
mod heartbeat;
mod output;
pub(super) mod report;
mod sign_off;
mod task;
mod token;

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use http::HeaderName;

use crate::api::user;
use crate::app::App;
use crate::auth::worker::IsOurs;
use crate::dispatch::patience::as_long_as_its_caller;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/workers", user::workers::registration().delete(sign_off::sign_off))
        .route("/workers/heartbeat", post(heartbeat::heartbeat))
        .route("/workers/tasks", get(fetch::fetch).post(report::report))
        .route("/workers/tasks/{uuid}", get(task::task))
        .route("/workers/tasks/{uuid}/artifacts/{content_type}", get(artifact::artifact))
        .route("/workers/tasks/{uuid}/attachments/{*key}", get(attachment::attachment))
        .route("/v1/workers/token", post(token::token))
        .route("/v1/workers/tasks/{uuid}/output", get(output::demand).post(output::chunk))
        .layer(from_fn(hold))
}

/// Holds requests of published workers longer than those of ours while the database is away.
async fn hold(request: Request, next: Next) -> Response {
    let IsOurs(is_ours) = IsOurs::of(request.headers());
    as_long_as_its_caller(is_ours, next.run(request)).await
}

/// How long a worker may be silent. Agents of ours are heard of often, so they are missed sooner.
pub(super) fn lease(app: &App, is_agent: bool) -> Duration {
    match is_agent {
        true => app.agents.lease(app.lease),
        false => app.lease,
    }
}

/// Tells a worker of ours how long it may be silent, in seconds. Published workers do not look.
pub(super) fn lease_header(lease: Duration) -> (HeaderName, String) {
    (HeaderName::from_static("x-mito-lease"), lease.as_secs().to_string())
}
