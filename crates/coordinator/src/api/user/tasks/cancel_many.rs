//! `POST /tasks/cancel`: cancels the waiting tasks that match a filter.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::task::{CancelledTasksReply, TaskFilter};
use mitosis_store::ops::Actor;
use mitosis_store::ops::tasks::CancelSelection;

use super::batches::{Pacer, interrupted};
use super::filter;
use crate::api::body::Body;
use crate::api::members::require_for_filter;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().post("/tasks/cancel", Access::Write, cancel_many, "Cancel matching tasks that wait")
}

/// Cancels in batches. A filter by states that includes neither Ready nor Pending selects nothing.
async fn cancel_many(
    State(app): State<App>,
    Caller(user): Caller,
    Body(filter): Body<TaskFilter>,
) -> Result<Json<CancelledTasksReply>, ApiError> {
    let group_name = filter::group_name(&app, &user, &filter)?;
    let group = require_for_filter(&app, &user, &group_name, Action::ManageTasks).await?;
    let query = filter::query(&app, filter, group, None)?;
    let (selection, mut count) = (CancelSelection::Matching(query), 0);
    loop {
        let pacer = Pacer::begin(&app.request_counter);
        let cancelled = app.store.cancel(Actor::User(user.id), &selection, app.now()).await;
        let cancelled =
            app.publish(cancelled.map_err(|error| interrupted(error.into(), count, "cancelled"))?);
        if cancelled.is_empty() {
            return Ok(Json(CancelledTasksReply { cancelled_count: count as u64, group_name }));
        }
        count += cancelled.len();
        pacer.pause().await;
    }
}
