//! `GET /tasks/{uuid}/download/artifacts/{content_type}`: a link to one of a task's archives.

use axum::Json;
use axum::extract::State;
use mitosis_domain::ids::TaskId;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_domain::permission::Action;
use mitosis_protocol::storage::DownloadReply;
use mitosis_protocol::{ArtifactKind, Uuid};

use super::download_valid;
use crate::api::body::InPath;
use crate::api::origin::Origin;
use crate::api::routes::{Asks, Routes};
use crate::api::user::tasks::find;
use crate::app::App;
use crate::auth::standing::LastingCaller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/tasks/{uuid}/download/artifacts/{content_type}",
        Asks::Look,
        download,
        "A link to an archive",
    )
}

/// For members of the task's group. 404 when the task has no such archive.
async fn download(
    State(app): State<App>,
    LastingCaller(user, standing): LastingCaller,
    origin: Origin,
    InPath((uuid, kind)): InPath<(Uuid, ArtifactKind)>,
) -> Result<Json<DownloadReply>, ApiError> {
    let task = find(&app, &user, uuid, Action::View).await?;
    link(&app, &origin, Some(&standing.written()), task.id, kind).await.map(Json)
}

/// A link to the visible archive of a task.
pub(in crate::api) async fn link(
    app: &App,
    origin: &Origin,
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
    let key = ObjectKey::from_stored(ObjectClass::Artifacts, artifact.object);
    let link = app.objects.download_link(&key, holder, download_valid(artifact.size), app.now())?;
    Ok(DownloadReply { url: origin.resolve(link), size: artifact.size })
}
