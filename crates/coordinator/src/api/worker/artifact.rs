//! `GET /workers/tasks/{uuid}/artifacts/{content_type}`: a link to an artifact that a task needs.

use axum::Json;
use axum::extract::State;
use mitosis_protocol::storage::DownloadReply;
use mitosis_protocol::{ArtifactKind, Uuid};

use super::task::{Reference, require_reference};
use crate::api::base_url::BaseUrl;
use crate::api::body::InPath;
use crate::api::routes::{Access, Routes};
use crate::api::user::artifacts::link;
use crate::app::App;
use crate::auth::worker::WorkerCaller;
use crate::error::{ApiError, Rejection, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/workers/tasks/{uuid}/artifacts/{content_type}",
        Access::Worker,
        artifact,
        "Get a link to download an artifact",
    )
}

/// `uuid` is the task that created the artifact. A task that the worker holds must refer to it, with this kind.
async fn artifact(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    base_url: BaseUrl,
    InPath((uuid, kind)): InPath<(Uuid, ArtifactKind)>,
) -> Result<Json<DownloadReply>, ApiError> {
    let task = app
        .retry
        .transient(|| app.store.task(uuid))
        .await?
        .ok_or_else(|| Rejection::no_such(ResourceKind::Task, uuid))?;
    require_reference(&app, &worker, &task, Reference::Archive(kind)).await?;
    link(&app, &base_url, None, task.id, kind).await.map(Json)
}
