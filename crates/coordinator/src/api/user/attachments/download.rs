//! `GET /groups/{group}/download/attachments/{*key}`: a link to a file.

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::User;
use mitosis_protocol::storage::DownloadReply;

use super::get::find;
use super::object;
use crate::api::body::InPath;
use crate::api::openapi::Op;
use crate::api::origin::Origin;
use crate::api::routes::{Asks, Routes};
use crate::api::user::artifacts::download_valid;
use crate::app::App;
use crate::auth::standing::{LastingCaller, Standing};
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/groups/{group}/download/attachments/list",
            Asks::Look,
            download_list,
            Op::alias_of("/groups/{group}/download/attachments/{*key}"),
        )
        .get("/groups/{group}/download/attachments/{*key}", Asks::Look, download, "A link to a file")
}

/// For members. 404 for an unknown group or key.
async fn download(
    State(app): State<App>,
    LastingCaller(user, standing): LastingCaller,
    origin: Origin,
    InPath((group, key)): InPath<(String, String)>,
) -> Result<Json<DownloadReply>, ApiError> {
    link(&app, &user, &standing, &origin, &group, &key).await
}

/// The same for a file that is called like the route beside it.
async fn download_list(
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
