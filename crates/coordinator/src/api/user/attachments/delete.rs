//! `DELETE /groups/{group}/attachments/{*key}`: deletes an attachment.

use axum::extract::State;
use mitosis_domain::account::User;
use mitosis_domain::permission::Action;
use mitosis_store::ops::Actor;

use super::removal::remove;
use crate::api::body::InPath;
use crate::api::members::require;
use crate::api::openapi::Op;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::api::user::artifacts::DELETION_DELAY;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new()
        .delete(
            "/groups/{group}/attachments/query",
            Access::Write,
            delete_query,
            Op::alias_of("/groups/{group}/attachments/{*key}"),
        )
        .delete("/groups/{group}/attachments/{*key}", Access::Write, delete, "Delete an attachment")
}

/// Replies 400 within an hour of the last upload.
async fn delete(
    State(app): State<App>,
    Caller(user): Caller,
    InPath((group, key)): InPath<(String, String)>,
) -> Result<Empty, ApiError> {
    delete_as(&app, &user, &group, &key).await
}

/// Deletes the attachment whose key equals the name of another route.
async fn delete_query(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(group): InPath<String>,
) -> Result<Empty, ApiError> {
    delete_as(&app, &user, &group, "query").await
}

async fn delete_as(app: &App, user: &User, group: &str, key: &str) -> Result<Empty, ApiError> {
    let id = require(app, user, group, Action::ManageFiles).await?;
    remove(app, Actor::User(user.id), id, key, app.now() - DELETION_DELAY).await?;
    Ok(Empty)
}
