//! Groups.

mod create;
mod get;
mod update_users;

use axum::Router;
use axum::routing::{get as on_get, post, put};

use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/groups", post(create::create))
        .route("/groups/{group}", on_get(get::get))
        .route("/groups/{group}/users", put(update_users::update_users))
}
