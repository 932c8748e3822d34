//! `PUT /tasks/{uuid}/labels`: replaces the labels, in any state.

use axum::extract::State;
use mitosis_protocol::Uuid;
use mitosis_protocol::task::LabelsRequest;
use mitosis_store::ops::By;

use super::{find_own, submission};
use crate::api::body::{Body, InPath};
use crate::api::reply::Empty;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new().put("/tasks/{uuid}/labels", Asks::Change, labels, "Replace a task's labels")
}

/// An empty list clears them.
async fn labels(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    Body(request): Body<LabelsRequest>,
) -> Result<Empty, ApiError> {
    find_own(&app, &user, uuid).await?;
    let labels = submission::words(request.labels)?;
    match app.store.set_task_labels(By::User(user.id), uuid, &labels, app.now()).await? {
        true => Ok(Empty),
        false => Err(Refusal::no_such(ResourceKind::Task, uuid).into()),
    }
}
