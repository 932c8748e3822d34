//! `DELETE /v1/schedules/{schedule}`: deletes a schedule.

use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_store::ops::Actor;

use super::find::{find, no_such};
use crate::api::body::InPath;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().delete("/v1/schedules/{schedule}", Access::Write, remove, "Delete a schedule")
}

/// Deletes the schedule and the record of its runs. Its jobs stay.
async fn remove(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(number): InPath<i64>,
) -> Result<Empty, ApiError> {
    let schedule = find(&app, &user, number, Action::ManageTasks).await?;
    match app.store.remove_schedule(Actor::User(user.id), schedule.id).await? {
        true => Ok(Empty),
        false => Err(no_such(number).into()),
    }
}
