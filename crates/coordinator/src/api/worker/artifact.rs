//! `GET /workers/tasks/{uuid}/artifacts/{content_type}`: a link to an archive that a task needs.

use axum::Json;
use axum::extract::State;
use mitosis_protocol::storage::DownloadReply;
use mitosis_protocol::{ArtifactKind, Uuid};

use super::task::{Need, needed};
use crate::api::body::InPath;
use crate::api::origin::Origin;
use crate::api::routes::{Asks, Routes};
use crate::api::user::artifacts::link;
use crate::app::App;
use crate::auth::worker::WorkerCaller;
use crate::error::{ApiError, Refusal, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/workers/tasks/{uuid}/artifacts/{content_type}",
        Asks::Worker,
        artifact,
        "A link to an archive",
    )
}

/// `uuid` is the task that left the archive. A task that the worker holds must name it, with this kind.
async fn artifact(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    origin: Origin,
    InPath((uuid, kind)): InPath<(Uuid, ArtifactKind)>,
) -> Result<Json<DownloadReply>, ApiError> {
    let task = app
        .retry
        .transient(|| app.store.task(uuid))
        .await?
        .ok_or_else(|| Refusal::no_such(ResourceKind::Task, uuid))?;
    needed(&app, &worker, &task, Need::Archive(kind)).await?;
    link(&app, &origin, None, task.id, kind).await.map(Json)
}
