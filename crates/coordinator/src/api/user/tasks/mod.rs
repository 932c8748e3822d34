//! Tasks, for users.

mod attempts;
pub(super) mod batches;
mod cancel;
mod cancel_list;
mod cancel_many;
mod change;
mod explain;
pub(super) mod filter;
mod find;
pub(in crate::api) mod follow;
mod get;
mod held;
mod labels;
mod live;
mod logs;
mod outputs;
mod query;
pub(super) mod references;
mod results;
mod retry;
mod states;
mod stop;
pub(in crate::api) mod submission;
mod submit;
mod submit_many;
pub(in crate::api) mod view;

use std::collections::BTreeMap;

use axum::extract::DefaultBodyLimit;
use http::StatusCode;
use mitosis_domain::account::{Membership, User};
use mitosis_domain::ids::TaskId;
use mitosis_domain::limits;
use mitosis_domain::permission::Action;
use mitosis_domain::task::Task;
use mitosis_protocol::{ErrorCode, Uuid};

use crate::api::members;
use crate::api::routes::Routes;
use crate::app::App;
use crate::error::{ApiError, Rejection, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(submit::routes())
        .merge(query::routes())
        .merge(cancel_many::routes())
        .merge(cancel_list::routes())
        .merge(get::routes())
        .merge(attempts::routes())
        .merge(change::routes())
        .merge(cancel::routes())
        .merge(labels::routes())
        .merge(explain::routes())
        .merge(find::routes())
        .merge(results::routes())
        .merge(retry::routes())
        .merge(follow::routes())
        .merge(logs::routes())
        .merge(outputs::routes())
        .merge(states::routes())
        .merge(stop::routes())
        .tag("tasks")
}

pub(super) fn batch_routes() -> Routes {
    Routes::new()
        .merge(submit_many::routes())
        .tag("tasks")
        .limit(DefaultBodyLimit::max(limits::MAX_BATCH_BODY_BYTES))
}

/// Returns the task if the user may perform the action in its group.
pub(super) async fn find(app: &App, user: &User, uuid: Uuid, action: Action) -> Result<Task, ApiError> {
    let task = app.store.task(uuid).await?.ok_or_else(|| Rejection::no_such(ResourceKind::Task, uuid))?;
    permit(app, user, &task, action, StatusCode::FORBIDDEN).await?;
    Ok(task)
}

/// Checks the permission of the user on the task. An outsider does not learn the group of the task.
async fn permit(
    app: &App,
    user: &User,
    task: &Task,
    action: Action,
    to_outsiders: StatusCode,
) -> Result<(), ApiError> {
    match app.store.membership(user.id, &task.group_name).await? {
        Membership::NoSuchGroup | Membership::Outsider(_) => {
            let text = format!("there is no task `{}`, or you are not in its group", task.uuid);
            Err(Rejection::not_found_as(to_outsiders, text).into())
        }
        membership @ Membership::Member(..) => {
            members::permit(membership, &task.group_name, action)?;
            Ok(())
        }
    }
}

/// Tasks of a list in memory at once while only their ids are collected: each can be large.
const BATCH_SIZE: usize = 64;

/// The tasks of a list on which the user may perform the action and that satisfy the predicate, newest first.
pub(super) async fn permitted(
    app: &App,
    user: &User,
    uuids: &[Uuid],
    action: Action,
    wanted: impl Fn(&Task) -> bool + Send + Sync,
) -> Result<Vec<(TaskId, Uuid)>, ApiError> {
    let roles = app.store.groups_of(user.id).await?;
    let may = |task: &Task| roles.get(&task.group_name).is_some_and(|role| action.allowed_to(*role));
    let mut found = BTreeMap::new();
    for batch in uuids.chunks(BATCH_SIZE) {
        let tasks = app.store.tasks(batch).await?;
        found.extend(tasks.iter().filter(|task| may(task) && wanted(task)).map(|task| (task.id, task.uuid)));
    }
    Ok(found.into_iter().rev().collect())
}

/// Finds a task to manage, for routes that reply 400 to outsiders.
async fn find_own(app: &App, user: &User, uuid: Uuid) -> Result<Task, ApiError> {
    let task = app.store.task(uuid).await?.ok_or_else(|| Rejection::no_such(ResourceKind::Task, uuid))?;
    permit(app, user, &task, Action::ManageTasks, StatusCode::BAD_REQUEST).await?;
    Ok(task)
}

/// The rejection of a change or cancellation of a task that is not waiting.
fn not_waiting(uuid: Uuid) -> Rejection {
    Rejection::new(ErrorCode::NotFound, format!("task `{uuid}` is not waiting for a worker"))
        .hint(
            "stop a running task with `mito client tasks stop`; running and ended tasks can't be changed or cancelled",
        )
}
