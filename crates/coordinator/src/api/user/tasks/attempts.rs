//! `GET /v1/tasks/{uuid}/attempts`: the ended attempts of a task.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::Uuid;
use mitosis_protocol::job::AttemptsReply;

use super::find;
use crate::api::body::InPath;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/v1/tasks/{uuid}/attempts",
        Access::Read,
        attempts,
        "List the ended attempts of a task, oldest first",
    )
}

/// Returns the attempts of a task in any state. Attempts that were lost with their worker are not listed.
async fn attempts(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
) -> Result<Json<AttemptsReply>, ApiError> {
    find(&app, &user, uuid, Action::View).await?;
    Ok(Json(AttemptsReply { attempts: app.store.attempts(uuid).await? }))
}
