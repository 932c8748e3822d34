//! Workers, for users.

mod cancel;
mod edit;
mod get;
mod groups;
mod query;
mod register;
mod shutdown;

use axum::Router;
use axum::routing::{delete, get as on_get, post, put};

use crate::app::App;

pub(in crate::api) use cancel::{Op, stop};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/workers/query", post(query::query))
        .route("/workers/shutdown", post(shutdown::by_filter))
        .route("/workers/shutdown/list", post(shutdown::by_list))
        .route("/workers/{uuid}", on_get(get::get).delete(cancel::cancel))
        .route("/workers/{uuid}/tags", put(edit::tags))
        .route("/workers/{uuid}/labels", put(edit::labels))
        .route("/workers/{uuid}/groups", put(groups::set).delete(groups::remove_by_query))
        .route("/workers/{uuid}/groups/remove", delete(groups::remove_by_body))
}

/// Its path is also a worker's own; see [`super::super::worker`].
pub(in crate::api) fn registration() -> axum::routing::MethodRouter<App> {
    post(register::register)
}
