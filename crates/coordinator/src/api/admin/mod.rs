//! Routes for site administrators.

mod audit;
mod create_user;
mod doctor;
mod groups;
mod shutdown;
mod tasks;
mod users;
mod workers;

use axum::Router;
use axum::routing::{delete, get, post, put};

use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/admin/users", post(create_user::create_user))
        .route("/admin/users/{username}", delete(users::delete))
        .route("/admin/users/{username}/password", post(users::password))
        .route("/admin/users/{username}/state", post(users::state))
        .route("/admin/users/{username}/group-quota", post(users::group_quota))
        .route("/admin/groups/{group}/storage-quota", post(groups::storage_quota))
        .route("/admin/groups/{group}/attachments/{*key}", delete(groups::delete_attachment))
        .route("/admin/tasks/{uuid}/artifacts/{content_type}", delete(tasks::delete_artifact))
        .route("/admin/workers/{uuid}", delete(workers::cancel))
        .route("/v1/admin/groups/{group}/users", put(groups::restore))
        .route("/v1/admin/audit", get(audit::audit))
        .route("/v1/admin/doctor", get(doctor::doctor))
        .route("/admin/shutdown", post(shutdown::shutdown))
}
