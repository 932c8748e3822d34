//! Routes for workers: the legacy protocol (HTTP contract §12) and live output.

mod artifact;
mod attachment;
mod await_state;
mod fetch;
mod heartbeat;
mod output;
mod report;
mod sign_off;
mod task;
mod token;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;

use crate::api::routes::Routes;
use crate::auth::worker::WorkerProgram;
use crate::dispatch::retry::within_timeout_of_caller;

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(sign_off::routes())
        .merge(heartbeat::routes())
        .merge(fetch::routes())
        .merge(report::routes())
        .merge(task::routes())
        .merge(artifact::routes())
        .merge(attachment::routes())
        .merge(await_state::routes())
        .merge(token::routes())
        .merge(output::routes())
        .tag("worker protocol")
        .layered(|router| router.layer(from_fn(hold)))
}

/// Holds requests of legacy workers longer than those of native ones while the database is unavailable.
async fn hold(request: Request, next: Next) -> Response {
    let program = WorkerProgram::of(request.headers());
    within_timeout_of_caller(program, next.run(request)).await
}
