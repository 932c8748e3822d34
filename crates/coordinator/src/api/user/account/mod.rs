//! The caller's own account.

mod auth;
mod groups;
mod password;
mod redis;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/auth", get(auth::auth))
        .route("/redis", get(redis::redis))
        .route("/users/groups", get(groups::groups))
        .route("/users/{username}/password", post(password::password))
}
