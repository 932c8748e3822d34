//! The caller's own account.

mod auth;
mod doctor;
mod groups;
mod password;
mod redis;
mod tokens;

use axum::Router;
use axum::routing::{delete, get, post};

use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/auth", get(auth::auth))
        .route("/v1/doctor", get(doctor::doctor))
        .route("/redis", get(redis::redis))
        .route("/v1/tokens", post(tokens::create).get(tokens::list))
        .route("/v1/tokens/{id}", delete(tokens::revoke))
        .route("/users/groups", get(groups::groups))
        .route("/users/{username}/password", post(password::password))
}
