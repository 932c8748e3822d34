//! `POST /tasks/download/artifacts` and `…/list`: links to one kind of artifact of many tasks.

use axum::Json;
use axum::extract::State;
use mitosis_domain::ids::TaskId;
use mitosis_domain::permission::Action;
use mitosis_protocol::artifact::{
    ArtifactDownload, ArtifactDownloadsReply, ArtifactsByFilterRequest, ArtifactsByListRequest,
};
use mitosis_protocol::{ArtifactKind, Uuid};

use super::{BATCH_DOWNLOAD_VALID, of_each};
use crate::api::base_url::BaseUrl;
use crate::api::body::Body;
use crate::api::objects::stored;
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::{filter, permitted};
use crate::app::App;
use crate::auth::revalidation::{AuthenticatedCaller, Authentication};
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new()
        .post(
            "/tasks/download/artifacts",
            Access::Read,
            by_filter,
            "Get links to artifacts of matching tasks",
        )
        .post(
            "/tasks/download/artifacts/list",
            Access::Read,
            by_list,
            "Get links to artifacts of listed tasks",
        )
}

/// Returns links to artifacts of matching tasks.
async fn by_filter(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    base_url: BaseUrl,
    Body(request): Body<ArtifactsByFilterRequest>,
) -> Result<Json<ArtifactDownloadsReply>, ApiError> {
    let ArtifactsByFilterRequest { filter, reporter_uuid, content_type } = request;
    let (tasks, _) = filter::matches(&app, &user, filter, reporter_uuid, Action::View).await?;
    links(&app, &base_url, &authentication, &tasks, content_type).await
}

/// Returns links to artifacts of listed tasks. Unknown and foreign tasks, and those without the artifact, are omitted.
async fn by_list(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    base_url: BaseUrl,
    Body(request): Body<ArtifactsByListRequest>,
) -> Result<Json<ArtifactDownloadsReply>, ApiError> {
    if request.uuids.is_empty() {
        return Err(Rejection::empty_list("tasks").into());
    }
    let tasks = permitted(&app, &user, &request.uuids, Action::View, |_| true).await?;
    links(&app, &base_url, &authentication, &tasks, request.content_type).await
}

async fn links(
    app: &App,
    base_url: &BaseUrl,
    authentication: &Authentication,
    tasks: &[(TaskId, Uuid)],
    kind: ArtifactKind,
) -> Result<Json<ArtifactDownloadsReply>, ApiError> {
    let (holder, mut downloads) = (authentication.encode(), Vec::new());
    for (uuid, artifact) in of_each(app, tasks, kind).await? {
        let link = stored::download_link(app, &artifact, Some(&holder), BATCH_DOWNLOAD_VALID)?;
        downloads.push(ArtifactDownload { uuid, url: base_url.resolve(link), size: artifact.size });
    }
    Ok(Json(ArtifactDownloadsReply { downloads }))
}
