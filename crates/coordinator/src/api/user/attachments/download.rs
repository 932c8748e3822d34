//! `GET /groups/{group}/download/attachments/{*key}`: a link to an attachment.

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::User;
use mitosis_protocol::storage::DownloadReply;

use super::get::find;
use super::object;
use crate::api::base_url::BaseUrl;
use crate::api::body::InPath;
use crate::api::openapi::Op;
use crate::api::routes::{Access, Routes};
use crate::api::user::artifacts::download_valid;
use crate::app::App;
use crate::auth::revalidation::{AuthenticatedCaller, Authentication};
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/groups/{group}/download/attachments/list",
            Access::Read,
            download_list,
            Op::alias_of("/groups/{group}/download/attachments/{*key}"),
        )
        .get(
            "/groups/{group}/download/attachments/{*key}",
            Access::Read,
            download,
            "Get a link to download an attachment",
        )
}

/// Returns a link to members. Replies 404 for an unknown group or key.
async fn download(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    base_url: BaseUrl,
    InPath((group, key)): InPath<(String, String)>,
) -> Result<Json<DownloadReply>, ApiError> {
    link(&app, &user, &authentication, &base_url, &group, &key).await
}

/// Returns a link to the attachment whose key equals the name of another route.
async fn download_list(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    base_url: BaseUrl,
    InPath(group): InPath<String>,
) -> Result<Json<DownloadReply>, ApiError> {
    link(&app, &user, &authentication, &base_url, &group, "list").await
}

async fn link(
    app: &App,
    user: &User,
    authentication: &Authentication,
    base_url: &BaseUrl,
    group: &str,
    key: &str,
) -> Result<Json<DownloadReply>, ApiError> {
    let attachment = find(app, user, group, key).await?;
    let valid = download_valid(attachment.size);
    let link =
        app.objects.download_link(&object(group, key)?, Some(&authentication.encode()), valid, app.now())?;
    Ok(Json(DownloadReply { url: base_url.resolve(link), size: attachment.size }))
}
