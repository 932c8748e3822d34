//! `PUT /tasks/{uuid}`: changes a task that waits.

use axum::extract::State;
use mitosis_protocol::Uuid;
use mitosis_protocol::task::ChangeTaskRequest;
use mitosis_store::ops::By;
use mitosis_store::ops::tasks::TaskChange;

use super::{find_own, named, not_ready, submission};
use crate::api::body::{Body, InPath};
use crate::api::reply::Empty;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal};

pub(super) fn routes() -> Routes {
    Routes::new().put("/tasks/{uuid}", Asks::Change, change, "Change a task that waits")
}

/// 400 when there is nothing to change, 404 when the task does not wait for a worker, or its creator may not see
/// a task that the new spec names.
async fn change(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    Body(request): Body<ChangeTaskRequest>,
) -> Result<Empty, ApiError> {
    find_own(&app, &user, uuid).await?;
    let change = checked(request)?;
    if let Some(spec) = &change.spec {
        named::of_one(&app, &user, spec).await?;
    }
    match app.store.change_task(By::User(user.id), uuid, &change, app.now()).await? {
        true => {
            app.ready.notify();
            Ok(Empty)
        }
        false => Err(not_ready(uuid).into()),
    }
}

fn checked(request: ChangeTaskRequest) -> Result<TaskChange, Refusal> {
    let ChangeTaskRequest { tags, timeout, priority, task_spec } = request;
    if tags.is_none() && timeout.is_none() && priority.is_none() && task_spec.is_none() {
        return Err(Refusal::invalid(
            "there is nothing to change; give tags, timeout, priority or task_spec",
        ));
    }
    if let Some(task_spec) = &task_spec {
        submission::checked_spec(task_spec)?;
    }
    Ok(TaskChange {
        tags: tags.map(submission::words).transpose()?,
        timeout_seconds: timeout.map(submission::timeout_seconds).transpose()?,
        priority,
        spec: task_spec,
    })
}
