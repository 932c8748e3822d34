//! `POST /tasks/delete/artifacts` and `…/list`: deletes one kind of artifact of many tasks.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::Uuid;
use mitosis_protocol::artifact::{
    ArtifactsByFilterRequest, ArtifactsByListRequest, DeletedArtifactsListReply, DeletedArtifactsReply,
};
use mitosis_store::ops::Actor;

use super::delete::remove;
use super::{DELETION_DELAY, of_each, passed_over};
use crate::api::body::Body;
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::{filter, permitted};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new()
        .post("/tasks/delete/artifacts", Access::Write, by_filter, "Delete artifacts of matching tasks")
        .post("/tasks/delete/artifacts/list", Access::Write, by_list, "Delete artifacts of listed tasks")
}

/// Deletes artifacts of matching tasks, except those that were uploaded within the last hour. Readers may call this, but
/// delete nothing.
async fn by_filter(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<ArtifactsByFilterRequest>,
) -> Result<Json<DeletedArtifactsReply>, ApiError> {
    let ArtifactsByFilterRequest { filter, reporter_uuid, content_type } = request;
    let (tasks, role) = filter::matches(&app, &user, filter, reporter_uuid, Action::View).await?;
    let mut deleted_count = 0;
    if Action::ManageFiles.allowed_to(role) {
        let untouched_since = app.now() - DELETION_DELAY;
        for (uuid, _) in of_each(&app, &tasks, content_type).await? {
            if !passed_over(remove(&app, Actor::User(user.id), uuid, content_type, untouched_since).await)? {
                deleted_count += 1;
            }
        }
    }
    Ok(Json(DeletedArtifactsReply { deleted_count }))
}

/// Deletes artifacts of listed tasks. The reply lists the tasks for which that failed.
async fn by_list(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<ArtifactsByListRequest>,
) -> Result<Json<DeletedArtifactsListReply>, ApiError> {
    if request.uuids.is_empty() {
        return Err(Rejection::empty_list("tasks").into());
    }
    let tasks = permitted(&app, &user, &request.uuids, Action::ManageFiles, |_| true).await?;
    let allowed: HashSet<Uuid> = tasks.into_iter().map(|(_, uuid)| uuid).collect();
    let untouched_since = app.now() - DELETION_DELAY;
    let mut reply = DeletedArtifactsListReply { deleted_count: 0, failed_uuids: Vec::new() };
    for uuid in request.uuids {
        let removed = allowed.contains(&uuid)
            && !passed_over(
                remove(&app, Actor::User(user.id), uuid, request.content_type, untouched_since).await,
            )?;
        match removed {
            true => reply.deleted_count += 1,
            false => reply.failed_uuids.push(uuid),
        }
    }
    Ok(Json(reply))
}
