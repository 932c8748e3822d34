//! `POST /tasks/delete/artifacts` and `…/list`: removes one archive of each of many tasks.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::Uuid;
use mitosis_protocol::artifact::{
    ArtifactsByFilterRequest, ArtifactsByListRequest, DeletedArtifactsListReply, DeletedArtifactsReply,
};
use mitosis_store::ops::By;

use super::delete::remove;
use super::{LEFT_ALONE, of_each, passed_over};
use crate::api::body::Body;
use crate::api::routes::{Asks, Routes};
use crate::api::user::tasks::{filter, permitted};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal};

pub(super) fn routes() -> Routes {
    Routes::new()
        .post("/tasks/delete/artifacts", Asks::Change, by_filter, "Remove one archive of each match")
        .post(
            "/tasks/delete/artifacts/list",
            Asks::Change,
            by_list,
            "Remove one archive of each task of a list",
        )
}

/// Of the tasks that match a filter. Readers may ask, and have nothing deleted; what was uploaded within
/// the last hour is passed over.
async fn by_filter(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<ArtifactsByFilterRequest>,
) -> Result<Json<DeletedArtifactsReply>, ApiError> {
    let ArtifactsByFilterRequest { filter, reporter_uuid, content_type } = request;
    let (tasks, role) = filter::matches(&app, &user, filter, reporter_uuid, Action::View).await?;
    let mut deleted_count = 0;
    if Action::ManageFiles.allowed_to(role) {
        let untouched_since = app.now() - LEFT_ALONE;
        for (uuid, _) in of_each(&app, &tasks, content_type).await? {
            if !passed_over(remove(&app, By::User(user.id), uuid, content_type, untouched_since).await)? {
                deleted_count += 1;
            }
        }
    }
    Ok(Json(DeletedArtifactsReply { deleted_count }))
}

/// Of the tasks of a list; the others are listed as failed.
async fn by_list(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<ArtifactsByListRequest>,
) -> Result<Json<DeletedArtifactsListReply>, ApiError> {
    if request.uuids.is_empty() {
        return Err(Refusal::empty_list("tasks").into());
    }
    let tasks = permitted(&app, &user, &request.uuids, Action::ManageFiles, |_| true).await?;
    let allowed: HashSet<Uuid> = tasks.into_iter().map(|(_, uuid)| uuid).collect();
    let untouched_since = app.now() - LEFT_ALONE;
    let mut reply = DeletedArtifactsListReply { deleted_count: 0, failed_uuids: Vec::new() };
    for uuid in request.uuids {
        let removed = allowed.contains(&uuid)
            && !passed_over(
                remove(&app, By::User(user.id), uuid, request.content_type, untouched_since).await,
            )?;
        match removed {
            true => reply.deleted_count += 1,
            false => reply.failed_uuids.push(uuid),
        }
    }
    Ok(Json(reply))
}
