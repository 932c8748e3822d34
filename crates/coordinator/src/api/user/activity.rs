//! `GET /v1/activity`: what ended in the groups of the caller in the last hour.

use axum::Json;
use axum::extract::State;
use mitosis_protocol::activity::ActivityReply;

use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/v1/activity", Access::Read, activity, "Count what ended in the last hour, by minute")
        .tag("jobs")
}

/// Returns the sums of all groups of the caller. They are up to ten seconds old.
async fn activity(State(app): State<App>, Caller(user): Caller) -> Result<Json<ActivityReply>, ApiError> {
    let groups = app.store.group_ids_of(user.id).await?;
    Ok(Json(app.activity.read(&*app.store, app.now(), &groups).await?))
}
