//! Groups.

mod create;
mod delete;
mod get;
mod remove_users;
pub(in crate::api) mod update_users;

use axum::Router;
use axum::routing::{delete as on_delete, get as on_get, post, put};

use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/groups", post(create::create))
        .route("/v1/groups/{group}", on_delete(delete::delete))
        .route("/groups/{group}", on_get(get::get))
        .route("/groups/{group}/users", put(update_users::update_users).delete(remove_users::by_query))
        .route("/groups/{group}/users/remove", post(remove_users::by_body))
}
