//! `PUT /tasks/{uuid}`: changes a waiting task.

use axum::extract::State;
use mitosis_protocol::Uuid;
use mitosis_protocol::task::ChangeTaskRequest;
use mitosis_store::ops::Actor;
use mitosis_store::ops::tasks::TaskChange;

use super::{find_own, not_waiting, references, submission};
use crate::api::body::{Body, InPath};
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};
use crate::secrets;

pub(super) fn routes() -> Routes {
    Routes::new().put("/tasks/{uuid}", Access::Write, change, "Change a waiting task")
}

/// Replies 400 if the request changes nothing, and 404 if the task is not waiting, or if its creator may not view a task
/// that the new spec refers to.
async fn change(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    Body(request): Body<ChangeTaskRequest>,
) -> Result<Empty, ApiError> {
    let group = find_own(&app, &user, uuid).await?.group;
    let change = checked(request)?;
    if let Some(spec) = &change.spec {
        references::check(&app, &user, spec).await?;
        secrets::check(&app, group, spec).await?;
    }
    match app.publish(app.store.change_task(Actor::User(user.id), uuid, &change, app.now()).await?) {
        true => Ok(Empty),
        false => Err(not_waiting(uuid).into()),
    }
}

fn checked(request: ChangeTaskRequest) -> Result<TaskChange, Rejection> {
    let ChangeTaskRequest { tags, timeout, priority, task_spec } = request;
    if tags.is_none() && timeout.is_none() && priority.is_none() && task_spec.is_none() {
        return Err(Rejection::invalid(
            "the request changes nothing; set tags, timeout, priority or task_spec",
        ));
    }
    if let Some(task_spec) = &task_spec {
        submission::checked_spec(task_spec)?;
    }
    Ok(TaskChange {
        tags: tags.map(submission::words).transpose()?,
        timeout: timeout.map(submission::checked_timeout).transpose()?,
        priority,
        spec: task_spec,
    })
}
