//! `POST /v1/tasks/{uuid}/stop`: stops a running task.

use axum::extract::State;
use mitosis_protocol::{ErrorCode, Uuid};
use mitosis_store::ops::Actor;
use mitosis_store::ops::tasks::StopRequested;

use super::find_own;
use crate::api::body::InPath;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new().post("/v1/tasks/{uuid}/stop", Access::Write, stop, "Stop a running task")
}

/// Notifies the agent that runs the task. The task ends as Cancelled when its processes have ended. Replies 404 if the task
/// is not running, and 400 if a legacy worker runs it, which does not support this.
async fn stop(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
) -> Result<Empty, ApiError> {
    find_own(&app, &user, uuid).await?;
    let outcomes = app.publish(app.store.request_stops(Actor::User(user.id), &[uuid], app.now()).await?);
    match outcomes.first() {
        Some(StopRequested::Agent(_)) => Ok(Empty),
        Some(StopRequested::LegacyWorker) => {
            Err(Rejection::invalid("the worker of this task does not support stopping single tasks")
                .hint("force the worker to stop; another worker then runs the task again")
                .into())
        }
        Some(StopRequested::NotRunning) | None => {
            Err(Rejection::new(ErrorCode::NotFound, format!("task `{uuid}` is not running"))
                .hint("cancel a waiting task with `mito client tasks cancel`; an ended task can't be stopped")
                .into())
        }
    }
}
