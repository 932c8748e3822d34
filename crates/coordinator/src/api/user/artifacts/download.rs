//! `GET /tasks/{uuid}/download/artifacts/{content_type}`: a link to an artifact.

use axum::Json;
use axum::extract::State;
use mitosis_domain::ids::TaskId;
use mitosis_domain::permission::Action;
use mitosis_protocol::storage::DownloadReply;
use mitosis_protocol::{ArtifactKind, Uuid};

use super::download_valid;
use crate::api::base_url::BaseUrl;
use crate::api::body::InPath;
use crate::api::objects::stored;
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::find;
use crate::app::App;
use crate::auth::revalidation::AuthenticatedCaller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/tasks/{uuid}/download/artifacts/{content_type}",
        Access::Read,
        download,
        "Get a link to download an artifact",
    )
}

/// Returns a link to members of the group. Replies 404 if the task has no such artifact.
async fn download(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    base_url: BaseUrl,
    InPath((uuid, kind)): InPath<(Uuid, ArtifactKind)>,
) -> Result<Json<DownloadReply>, ApiError> {
    let task = find(&app, &user, uuid, Action::View).await?;
    link(&app, &base_url, Some(&authentication.encode()), task.id, kind).await.map(Json)
}

/// Creates a link to the visible artifact of a task.
pub(in crate::api) async fn link(
    app: &App,
    base_url: &BaseUrl,
    holder: Option<&str>,
    task: TaskId,
    kind: ArtifactKind,
) -> Result<DownloadReply, ApiError> {
    let artifact = app
        .store
        .artifacts(task)
        .await?
        .into_iter()
        .find(|artifact| artifact.kind == kind)
        .ok_or_else(|| super::none_of(kind))?;
    let link = stored::download_link(app, &artifact, holder, download_valid(artifact.size))?;
    Ok(DownloadReply { url: base_url.resolve(link), size: artifact.size })
}
