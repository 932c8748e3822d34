//! `GET /workers/tasks/{uuid}/attachments/{*key}`: a link to a file of the task's group.

use axum::Json;
use axum::extract::State;
use mitosis_domain::name::Name;
use mitosis_domain::object::ObjectKey;
use mitosis_protocol::Uuid;
use mitosis_protocol::storage::DownloadReply;

use super::task::creator_may_see;
use crate::api::body::InPath;
use crate::api::origin::Origin;
use crate::api::routes::{Asks, Routes};
use crate::api::user::artifacts::download_valid;
use crate::app::App;
use crate::auth::worker::WorkerCaller;
use crate::error::{ApiError, Refusal, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/workers/tasks/{uuid}/attachments/{*key}",
        Asks::Worker,
        attachment,
        "A link to a file of the task's group",
    )
}

/// `uuid` is the task that is run; the file is one of its group, which its creator must be in.
async fn attachment(
    State(app): State<App>,
    WorkerCaller(worker): WorkerCaller,
    origin: Origin,
    InPath((uuid, key)): InPath<(Uuid, String)>,
) -> Result<Json<DownloadReply>, ApiError> {
    let task = app
        .retry
        .transient(|| app.store.task(uuid))
        .await?
        .ok_or_else(|| Refusal::no_such(ResourceKind::Task, uuid))?;
    if !worker.held.contains(&uuid) || !creator_may_see(&app, &task, &task.group_name).await? {
        return Err(Refusal::forbidden(
            "the worker does not hold this task, or its creator has left the group",
        )
        .hint("only tasks that run have the files of their group")
        .into());
    }
    let attachment = app
        .retry
        .transient(|| app.store.attachment(task.group, &key))
        .await?
        .ok_or_else(|| Refusal::no_such(ResourceKind::Attachment, &key))?;
    let group = Name::new(task.group_name).map_err(Refusal::invalid)?;
    let object = ObjectKey::attachment(&group, &key).map_err(Refusal::invalid)?;
    let link = app.objects.download_link(&object, None, download_valid(attachment.size), app.now())?;
    Ok(Json(DownloadReply { url: origin.resolve(link), size: attachment.size }))
}
