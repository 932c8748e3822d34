//! Workers, for users.

mod cancel;
mod get;
mod query;
mod register;

use axum::Router;
use axum::routing::{get as on_get, post};

use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/workers/query", post(query::query))
        .route("/workers/{uuid}", on_get(get::get).delete(cancel::cancel))
}

/// Its path is also a worker's own; see [`super::super::worker`].
pub(in crate::api) fn registration() -> axum::routing::MethodRouter<App> {
    post(register::register)
}
