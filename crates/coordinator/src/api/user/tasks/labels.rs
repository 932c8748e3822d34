//! `PUT /tasks/{uuid}/labels`: replaces the labels of a task in any state.

use axum::extract::State;
use mitosis_protocol::Uuid;
use mitosis_protocol::task::LabelsRequest;
use mitosis_store::ops::Actor;

use super::{find_own, submission};
use crate::api::body::{Body, InPath};
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new().put("/tasks/{uuid}/labels", Access::Write, labels, "Replace the labels of a task")
}

/// An empty list removes all labels.
async fn labels(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    Body(request): Body<LabelsRequest>,
) -> Result<Empty, ApiError> {
    find_own(&app, &user, uuid).await?;
    let labels = submission::words(request.labels)?;
    match app.store.set_task_labels(Actor::User(user.id), uuid, &labels, app.now()).await? {
        true => Ok(Empty),
        false => Err(Rejection::no_such(ResourceKind::Task, uuid).into()),
    }
}
