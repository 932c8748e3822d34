//! Routes that ask for no token.

mod health;
mod login;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/health", get(health::health)).route("/login", post(login::login))
}
