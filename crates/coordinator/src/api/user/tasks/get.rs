//! `GET /tasks/{uuid}`: a task and its artifacts, for members of its group.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::Uuid;
use mitosis_protocol::task::GetTaskReply;

use super::{find, view};
use crate::api::body::InPath;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().get("/tasks/{uuid}", Access::Read, get, "Get a task and its artifacts")
}

/// Returns a task in any state.
async fn get(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
) -> Result<Json<GetTaskReply>, ApiError> {
    let task = find(&app, &user, uuid, Action::View).await?;
    let artifacts = app.store.artifacts(task.id).await?;
    Ok(Json(GetTaskReply {
        info: view::info(task),
        artifacts: artifacts.iter().map(view::artifact).collect(),
    }))
}
