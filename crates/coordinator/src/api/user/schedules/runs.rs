//! `GET /v1/schedules/{schedule}/runs`: what came of the last runs of a schedule.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::schedule::ScheduleRunsReply;

use super::find::find;
use crate::api::body::InPath;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/v1/schedules/{schedule}/runs",
        Access::Read,
        runs,
        "List the last runs of a schedule, newest first",
    )
}

/// The last 100 runs are kept, and those whose jobs have not ended.
async fn runs(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(number): InPath<i64>,
) -> Result<Json<ScheduleRunsReply>, ApiError> {
    let schedule = find(&app, &user, number, Action::View).await?;
    Ok(Json(ScheduleRunsReply { runs: app.store.schedule_runs(schedule.id).await? }))
}
