//! `GET /v1/tasks/find?selector=…`: finds a task by a short name.

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::User;
use mitosis_domain::permission::Action;
use mitosis_domain::selector::{InvalidTaskSelector, TaskSelector};
use mitosis_domain::task::Task;
use mitosis_protocol::task::{FindTaskQuery, FindTaskReply};
use mitosis_protocol::{ErrorCode, Uuid};

use super::find;
use crate::api::body::InQuery;
use crate::api::members;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection, ResourceKind};

/// The number of candidates that an error lists.
const NAMED: u64 = 5;

pub(super) fn routes() -> Routes {
    Routes::new().get("/v1/tasks/find", Access::Read, select, "Find a task by a short name")
}

/// Searches the groups of the caller. Replies 404 without a match, and 400 with several matches.
async fn select(
    State(app): State<App>,
    Caller(user): Caller,
    InQuery(query): InQuery<FindTaskQuery>,
) -> Result<Json<FindTaskReply>, ApiError> {
    let invalid = |error: InvalidTaskSelector| Rejection::invalid(&error).hint(InvalidTaskSelector::HINT);
    let selector = query.selector.parse().map_err(invalid)?;
    let task = chosen(&app, &user, selector, &query.selector).await?;
    Ok(Json(FindTaskReply {
        uuid: task.uuid,
        group_name: task.group_name,
        task_id: task.number,
        state: task.phase.state(),
    }))
}

async fn chosen(app: &App, user: &User, selector: TaskSelector, text: &str) -> Result<Task, ApiError> {
    let nothing = |hint: &'static str| Rejection::no_such(ResourceKind::Task, text).hint(hint);
    match selector {
        TaskSelector::Uuid(uuid) => find(app, user, uuid, Action::View).await,
        TaskSelector::Prefix(start) => {
            let groups = app.store.group_ids_of(user.id).await?;
            let found = app.store.task_uuids_between(start.first(), start.last(), &groups, NAMED + 1).await?;
            match found.as_slice() {
                [] => {
                    Err(nothing("only tasks of your own groups can be named by the start of their UUID")
                        .into())
                }
                [uuid] => find(app, user, *uuid, Action::View).await,
                several => Err(ambiguous(text, several).into()),
            }
        }
        TaskSelector::Number(group, number) => {
            let group = members::require(app, user, &group, Action::View).await?;
            let task = app.store.task_by_number(group, number).await?;
            Ok(task.ok_or_else(|| nothing("numbers of a group count up from 1"))?)
        }
        TaskSelector::Last => {
            let task = app.store.newest_task_of(user.id).await?;
            let task = task.ok_or_else(|| {
                Rejection::new(ErrorCode::NotFound, "you have not submitted any tasks")
                    .hint("submit one with `mito client tasks submit`")
            })?;
            members::require(app, user, &task.group_name, Action::View).await?;
            Ok(task)
        }
    }
}

fn ambiguous(text: &str, several: &[Uuid]) -> Rejection {
    let named: Vec<_> = several.iter().take(5).map(Uuid::to_string).collect();
    let more = if several.len() > named.len() { ", and more" } else { "" };
    Rejection::invalid(format!("`{text}` matches several tasks: {}{more}", named.join(", ")))
        .hint("use more digits of the UUID")
}
