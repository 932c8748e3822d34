//! The HTTP API: one file per operation, and what all operations share.
//!
//! The arguments of a handler authenticate the caller. The body checks the input with `domain`, runs an operation of the
//! store, and replies with a type of `protocol`.

mod admin;
mod agent;
pub(crate) mod base_url;
mod body;
mod discard_body;
pub(crate) mod forwarded;
mod leases;
mod members;
pub(crate) mod objects;
pub(crate) mod openapi;
mod public;
mod reply;
mod response_layer;
pub(crate) mod routes;
mod upload_check;
mod user;
mod web;
mod worker;

pub(crate) use user::artifacts::UPLOAD_VALID;
pub(crate) use user::groups::delete::cancel_remaining;
pub(crate) use user::jobs::check::check_all as check_jobs;
pub(crate) use user::tasks::submission::check as check_task;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use mitosis_domain::limits;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;

use crate::app::App;
use routes::Routes;

/// All routes, with the size limits of their bodies.
fn all() -> Routes {
    Routes::new()
        .merge(public::routes())
        .merge(user::routes())
        .merge(worker::routes())
        .merge(agent::routes())
        .merge(admin::routes())
        .merge(openapi::routes())
        .merge(web::routes())
        .limit(DefaultBodyLimit::max(limits::MAX_BODY_BYTES))
        .merge(user::batch_routes())
        .merge(objects::routes())
}

/// The router of all routes, with the layers that all of them share.
pub(crate) fn router(app: App) -> Router {
    all()
        .into_router()
        .layer(CatchPanicLayer::custom(response_layer::panicked))
        .layer(from_fn_with_state(app.clone(), response_layer::finish))
        .layer(CorsLayer::permissive())
        .with_state(app)
}
