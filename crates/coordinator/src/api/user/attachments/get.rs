//! `GET /groups/{group}/attachments/{*key}`: the metadata of an attachment.

use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use mitosis_domain::account::User;
use mitosis_domain::permission::Action;
use mitosis_protocol::attachment::AttachmentInfo;
use mitosis_store::ops::attachments::Attachment;

use super::info;
use crate::api::body::InPath;
use crate::api::members::require;
use crate::api::openapi::Op;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/groups/{group}/attachments/query",
            Access::Read,
            get_query,
            Op::alias_of("/groups/{group}/attachments/{*key}"),
        )
        .get("/groups/{group}/attachments/{*key}", Access::Read, get, "Get the metadata of an attachment")
}

/// Returns the metadata to members. Replies 404 for an unknown group or key.
async fn get(
    State(app): State<App>,
    Caller(user): Caller,
    headers: HeaderMap,
    InPath((group, key)): InPath<(String, String)>,
) -> Result<Json<AttachmentInfo>, ApiError> {
    Ok(Json(info(&find(&app, &user, &group, &key).await?, &headers)))
}

/// Returns the metadata of the attachment whose key equals the name of another route.
async fn get_query(
    State(app): State<App>,
    Caller(user): Caller,
    headers: HeaderMap,
    InPath(group): InPath<String>,
) -> Result<Json<AttachmentInfo>, ApiError> {
    Ok(Json(info(&find(&app, &user, &group, "query").await?, &headers)))
}

/// Returns the attachment if the user may view it.
pub(super) async fn find(app: &App, user: &User, group: &str, key: &str) -> Result<Attachment, ApiError> {
    let id = require(app, user, group, Action::View).await?;
    Ok(app
        .store
        .attachment(id, key)
        .await?
        .ok_or_else(|| Rejection::no_such(ResourceKind::Attachment, key))?)
}
