//! `POST /v1/tasks/states`: which tasks run, and which have ended.

use axum::Json;
use axum::extract::State;
use mitosis_protocol::events::{MAX_STATES, StatesReply, StatesRequest};

use super::held::{may_view, roles_after_wait};
use crate::api::body::Body;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::revalidation::AuthenticatedCaller;
use crate::error::ApiError;

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
    let StatesRequest { tasks, wait } = request;
    let roles = roles_after_wait(&app, &user, &authentication, &tasks, MAX_STATES, wait).await?;
    let mut tasks = app.store.started_states(&tasks).await?;
    tasks.retain(|task| may_view(&roles, &task.group_name));
    Ok(Json(StatesReply { tasks }))
}
