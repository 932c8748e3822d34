//! Routes that ask for no token.

mod health;
pub(crate) mod login;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/health", get(health::health))
        .route("/login", post(login::login).layer(DefaultBodyLimit::max(login::MAX_BODY)))
}
