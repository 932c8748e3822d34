//! `POST /tasks/download/artifacts` and `…/list`: links to one archive of each of many tasks.

use axum::Json;
use axum::extract::State;
use mitosis_domain::ids::TaskId;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_domain::permission::Action;
use mitosis_protocol::artifact::{
    ArtifactDownload, ArtifactDownloadsReply, ArtifactsByFilterRequest, ArtifactsByListRequest,
};
use mitosis_protocol::{ArtifactKind, Uuid};

use super::{BATCH_DOWNLOAD_VALID, of_each};
use crate::api::body::Body;
use crate::api::origin::Origin;
use crate::api::routes::{Asks, Routes};
use crate::api::user::tasks::{filter, permitted};
use crate::app::App;
use crate::auth::standing::{LastingCaller, Standing};
use crate::error::{ApiError, Refusal};

pub(super) fn routes() -> Routes {
    Routes::new()
        .post("/tasks/download/artifacts", Asks::Look, by_filter, "Links to one archive of each match")
        .post(
            "/tasks/download/artifacts/list",
            Asks::Look,
            by_list,
            "Links to one archive of each task of a list",
        )
}

/// Of the tasks that match a filter.
async fn by_filter(
    State(app): State<App>,
    LastingCaller(user, standing): LastingCaller,
    origin: Origin,
    Body(request): Body<ArtifactsByFilterRequest>,
) -> Result<Json<ArtifactDownloadsReply>, ApiError> {
    let ArtifactsByFilterRequest { filter, reporter_uuid, content_type } = request;
    let (tasks, _) = filter::matches(&app, &user, filter, reporter_uuid, Action::View).await?;
    links(&app, &origin, &standing, &tasks, content_type).await
}

/// Of the tasks of a list; those unknown, foreign or without that archive are left out.
async fn by_list(
    State(app): State<App>,
    LastingCaller(user, standing): LastingCaller,
    origin: Origin,
    Body(request): Body<ArtifactsByListRequest>,
) -> Result<Json<ArtifactDownloadsReply>, ApiError> {
    if request.uuids.is_empty() {
        return Err(Refusal::empty_list("tasks").into());
    }
    let tasks = permitted(&app, &user, &request.uuids, Action::View, |_| true).await?;
    links(&app, &origin, &standing, &tasks, request.content_type).await
}

async fn links(
    app: &App,
    origin: &Origin,
    standing: &Standing,
    tasks: &[(TaskId, Uuid)],
    kind: ArtifactKind,
) -> Result<Json<ArtifactDownloadsReply>, ApiError> {
    let (holder, mut downloads) = (standing.written(), Vec::new());
    for (uuid, artifact) in of_each(app, tasks, kind).await? {
        let key = ObjectKey::from_stored(ObjectClass::Artifacts, artifact.object);
        let link = app.objects.download_link(&key, Some(&holder), BATCH_DOWNLOAD_VALID, app.now())?;
        downloads.push(ArtifactDownload { uuid, url: origin.resolve(link), size: artifact.size });
    }
    Ok(Json(ArtifactDownloadsReply { downloads }))
}
