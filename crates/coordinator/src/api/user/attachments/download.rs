//! `GET /groups/{group}/download/attachments/{*key}`: a link to a file.

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::User;
use mitosis_protocol::storage::DownloadReply;

use super::get::find;
use super::object;
use crate::api::body::InPath;
use crate::api::origin::Origin;
use crate::api::user::artifacts::download_valid;
use crate::app::App;
use crate::auth::standing::{LastingCaller, Standing};
use crate::error::ApiError;

/// For members. 404 for an unknown group or key.
pub(super) async fn download(
    State(app): State<App>,
    LastingCaller(user, standing): LastingCaller,
    origin: Origin,
    InPath((group, key)): InPath<(String, String)>,
) -> Result<Json<DownloadReply>, ApiError> {
    link(&app, &user, &standing, &origin, &group, &key).await
}

/// The same for a file that is called like the route beside it.
pub(super) async fn download_list(
    State(app): State<App>,
    LastingCaller(user, standing): LastingCaller,
    origin: Origin,
    InPath(group): InPath<String>,
) -> Result<Json<DownloadReply>, ApiError> {
    link(&app, &user, &standing, &origin, &group, "list").await
}

async fn link(
    app: &App,
    user: &User,
    standing: &Standing,
    origin: &Origin,
    group: &str,
    key: &str,
) -> Result<Json<DownloadReply>, ApiError> {
    let attachment = find(app, user, group, key).await?;
    let valid = download_valid(attachment.size);
    let link =
        app.objects.download_link(&object(group, key)?, Some(&standing.written()), valid, app.now())?;
    Ok(Json(DownloadReply { url: origin.resolve(link), size: attachment.size }))
}
