//! Routes for site administrators.

mod create_user;
mod shutdown;

use axum::Router;
use axum::routing::post;

use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/users", post(create_user::create_user))
        .route("/admin/shutdown", post(shutdown::shutdown))
}
