//! Routes for workers: the contract protocol (HTTP contract §12), and live output beside it.

mod artifact;
mod attachment;
mod fetch;
mod heartbeat;
mod output;
mod reached;
pub(super) mod report;
mod sign_off;
mod task;
mod token;

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use http::HeaderName;
use mitosis_domain::lease::LeaseTerms;

use crate::api::routes::Asks::Worker;
use crate::api::routes::Routes;
use crate::app::App;
use crate::auth::worker::IsOurs;
use crate::dispatch::patience::as_long_as_its_caller;

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

/// Holds requests of published workers longer than those of ours while the database is away.
async fn hold(request: Request, next: Next) -> Response {
    let IsOurs(is_ours) = IsOurs::of(request.headers());
    as_long_as_its_caller(is_ours, next.run(request)).await
}

/// How long a worker may be silent. Agents of ours are heard of often, so they are missed sooner.
pub(super) fn terms(app: &App, is_agent: bool, lost_after: Option<Duration>) -> LeaseTerms {
    match is_agent {
        true => app.agents.terms(app.lease, lost_after),
        false => LeaseTerms::legacy(app.lease),
    }
}

/// Tells a worker of ours how long it may be silent, in seconds. Published workers do not look.
pub(super) fn lease_headers(terms: LeaseTerms) -> [(HeaderName, String); 2] {
    [
        (HeaderName::from_static("x-mito-lease"), terms.lease.as_secs().to_string()),
        (HeaderName::from_static("x-mito-missed-after"), terms.missed_after.as_secs().to_string()),
    ]
}
