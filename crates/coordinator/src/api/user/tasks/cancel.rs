//! `DELETE /tasks/{uuid}`: cancels a task that waits for a worker.

use axum::extract::State;
use mitosis_protocol::Uuid;
use mitosis_store::ops::Actor;
use mitosis_store::ops::tasks::CancelSelection;

use super::{find_own, not_waiting};
use crate::api::body::InPath;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().delete("/tasks/{uuid}", Access::Write, cancel, "Cancel a waiting task")
}

/// Replies 404 if the task is not Ready: running, ended, or pending behind another task.
async fn cancel(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
) -> Result<Empty, ApiError> {
    find_own(&app, &user, uuid).await?;
    let cancelled =
        app.store.cancel(Actor::User(user.id), &CancelSelection::Ready(vec![uuid]), app.now()).await?;
    if app.publish(cancelled).is_empty() { Err(not_waiting(uuid).into()) } else { Ok(Empty) }
}
