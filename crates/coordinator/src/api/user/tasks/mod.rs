//! Tasks, for users.

mod cancel;
mod cancel_list;
mod cancel_many;
mod change;
mod explain;
pub(super) mod filter;
pub(in crate::api) mod follow;
mod get;
mod labels;
mod query;
mod results;
mod retry;
mod select;
mod stop;
pub(in crate::api) mod submission;
mod submit;
mod submit_many;
pub(in crate::api) mod view;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get as on_get, post, put};
use mitosis_domain::account::User;
use mitosis_domain::limits;
use mitosis_domain::permission::Action;
use mitosis_domain::task::Task;
use mitosis_protocol::{ErrorCode, Uuid};

use crate::api::members;
use crate::app::App;
use crate::error::{ApiError, Refusal, Thing};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/tasks", post(submit::submit))
        .route("/tasks/query", post(query::query))
        .route("/tasks/cancel", post(cancel_many::cancel_many))
        .route("/tasks/cancel/list", post(cancel_list::cancel_list))
        .route("/tasks/{uuid}", on_get(get::get).put(change::change).delete(cancel::cancel))
        .route("/tasks/{uuid}/labels", put(labels::labels))
        .route("/v1/tasks/{uuid}/explain", on_get(explain::explain))
        .route("/v1/tasks/find", on_get(select::select))
        .route("/v1/tasks/results", post(results::results))
        .route("/v1/tasks/retry", post(retry::retry))
        .route("/v1/tasks/{uuid}/output", on_get(follow::follow))
        .route("/v1/tasks/{uuid}/stop", post(stop::stop))
}

pub(super) fn batch_routes() -> Router<App> {
    Router::new()
        .route("/tasks/submit", post(submit_many::submit_many))
        .layer(DefaultBodyLimit::max(limits::MAX_BATCH_BODY_BYTES))
}

/// The task, if the user may do this in its group.
pub(super) async fn find(app: &App, user: &User, uuid: Uuid, action: Action) -> Result<Task, ApiError> {
    let task = app.store.task(uuid).await?.ok_or_else(|| Refusal::no_such(Thing::Task, uuid))?;
    members::require(app, user, &task.group_name, action).await?;
    Ok(task)
}

/// Those of the tasks that exist and with which the user may do this.
pub(super) async fn permitted(
    app: &App,
    user: &User,
    uuids: &[Uuid],
    action: Action,
) -> Result<Vec<Task>, ApiError> {
    let roles = app.store.groups_of(user.id).await?;
    let mut tasks = app.store.tasks(uuids).await?;
    tasks.retain(|task| roles.get(&task.group_name).is_some_and(|role| action.allowed_to(*role)));
    Ok(tasks)
}

/// The same for routes that answer 400 to outsiders.
async fn find_own(app: &App, user: &User, uuid: Uuid) -> Result<Task, ApiError> {
    let task = app.store.task(uuid).await?.ok_or_else(|| Refusal::no_such(Thing::Task, uuid))?;
    members::require_for_filter(app, user, &task.group_name, Action::ManageTasks).await?;
    Ok(task)
}

/// The task is in no state in which this can be done to it.
fn not_ready(uuid: Uuid) -> Refusal {
    Refusal::new(ErrorCode::NotFound, format!("there is no task `{uuid}` that waits for a worker"))
        .hint(
            "one that runs is stopped with `mito client tasks stop`, and can't be changed any more; one that has ended \
             stays as it is",
        )
}
