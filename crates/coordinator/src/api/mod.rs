//! The HTTP API: a file per verb, and what all verbs share.
//!
//! A handler's arguments are the proofs that the caller may be here; its body is the few lines that do
//! the work. Input is checked with `domain`, the work is an operation of the store, and the answer is a
//! type of `protocol`.

mod admin;
mod agent;
mod arrival;
mod body;
mod drain;
mod finish;
pub(crate) mod forwarded;
mod leases;
mod members;
pub(crate) mod objects;
mod openapi;
mod origin;
mod public;
mod reply;
pub(crate) mod routes;
mod user;
mod worker;

pub(crate) use user::artifacts::UPLOAD_VALID;
pub(crate) use user::groups::delete::cancel_the_rest;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use mitosis_domain::limits;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;

use crate::app::App;
use routes::Routes;

/// Every route, with the limit of its bodies.
fn all() -> Routes {
    Routes::new()
        .merge(public::routes())
        .merge(user::routes())
        .merge(worker::routes())
        .merge(agent::routes())
        .merge(admin::routes())
        .merge(openapi::routes())
        .limit(DefaultBodyLimit::max(limits::MAX_BODY_BYTES))
        .merge(user::batch_routes())
        .merge(objects::routes())
}

/// Every route, wrapped in what holds for all of them.
pub(crate) fn router(app: App) -> Router {
    all()
        .into_router()
        .layer(CatchPanicLayer::custom(finish::panicked))
        .layer(from_fn_with_state(app.clone(), finish::finish))
        .layer(CorsLayer::permissive())
        .with_state(app)
}
