//! `POST /v1/tasks/states`: which tasks run, and which have ended.

use axum::Json;
use axum::extract::State;
use mitosis_protocol::events::{MAX_STATES, StatesReply, StatesRequest};

use super::held::{may_view, wait_for_end};
use crate::api::body::Body;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::revalidation::AuthenticatedCaller;
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new().post(
        "/v1/tasks/states",
        Access::Read,
        states,
        "Get the states of tasks that run or have ended",
    )
}

/// Replies when the first task of the list has ended, or when `wait` has passed. A client that waits for many tasks reads
/// their ends in batches, which costs much less than an event for each.
async fn states(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    Body(request): Body<StatesRequest>,
) -> Result<Json<StatesReply>, ApiError> {
    if request.tasks.len() > MAX_STATES {
        return Err(Rejection::invalid(format!("a request names at most {MAX_STATES} tasks"))
            .hint("send them in several")
            .into());
    }
    let Some(first) = request.tasks.first().copied() else {
        return Err(Rejection::empty_list("tasks").into());
    };
    if let Some(wait) = request.wait {
        wait_for_end(&app, &user, first, wait).await?;
    }
    authentication.revalidate(&app).await?;
    let roles = app.store.groups_of(user.id).await?;
    let mut tasks = app.store.started_states(&request.tasks).await?;
    tasks.retain(|task| may_view(&roles, &task.group_name));
    Ok(Json(StatesReply { tasks }))
}
