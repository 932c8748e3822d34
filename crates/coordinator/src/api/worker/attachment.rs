//! `GET /workers/tasks/{uuid}/attachments/{*key}`: a link to an attachment of the group.

use axum::Json;
use axum::extract::State;
use mitosis_domain::name::Name;
use mitosis_domain::object::ObjectKey;
use mitosis_protocol::Uuid;
use mitosis_protocol::storage::DownloadReply;

use super::task::creator_may_view;
use crate::api::base_url::BaseUrl;
use crate::api::body::InPath;
use crate::api::routes::{Access, Routes};
use crate::api::user::artifacts::download_valid;
use crate::app::App;
use crate::auth::worker::WorkerCaller;
use crate::error::{ApiError, Rejection, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/workers/tasks/{uuid}/attachments/{*key}",
        Access::Worker,
        attachment,
        "Get a link to an attachment of the group",
    )
}

/// `uuid` is the running task. Its creator must be a member of the group.
async fn attachment(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    base_url: BaseUrl,
    InPath((uuid, key)): InPath<(Uuid, String)>,
) -> Result<Json<DownloadReply>, ApiError> {
    let task = app
        .retry
        .transient(|| app.store.task(uuid))
        .await?
        .ok_or_else(|| Rejection::no_such(ResourceKind::Task, uuid))?;
    if !worker.held.contains(&uuid) || !creator_may_view(&app, &task, &task.group_name).await? {
        return Err(Rejection::forbidden(
            "the worker does not hold this task, or the creator of the task has left the group",
        )
        .hint("only running tasks can access the attachments of their group")
        .into());
    }
    let attachment = app
        .retry
        .transient(|| app.store.attachment(task.group, &key))
        .await?
        .ok_or_else(|| Rejection::no_such(ResourceKind::Attachment, &key))?;
    let group = Name::new(task.group_name).map_err(Rejection::invalid)?;
    let object = ObjectKey::attachment(&group, &key).map_err(Rejection::invalid)?;
    let link = app.objects.download_link(&object, None, download_valid(attachment.size), app.now())?;
    Ok(Json(DownloadReply { url: base_url.resolve(link), size: attachment.size }))
}
