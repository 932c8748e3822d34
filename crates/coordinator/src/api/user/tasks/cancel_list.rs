//! `POST /tasks/cancel/list`: cancels the tasks of a list that wait.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use mitosis_protocol::Uuid;
use mitosis_protocol::task::{CancelTasksListRequest, CancelledTasksListReply};
use mitosis_store::ops::By;
use mitosis_store::ops::tasks::CancelSelection;

use crate::api::body::Body;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal};

/// Ready and Pending ones, where the caller has Write; the others are listed as failed.
pub(super) async fn cancel_list(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<CancelTasksListRequest>,
) -> Result<Json<CancelledTasksListReply>, ApiError> {
    if request.uuids.is_empty() {
        return Err(Refusal::empty_list("tasks").into());
    }
    let selection = CancelSelection::Waiting(request.uuids.clone());
    let cancelled = app.store.cancel(By::User(user.id), &selection, app.now()).await?;
    let cancelled: HashSet<Uuid> = cancelled.into_iter().collect();
    app.news.ring();
    for task in &cancelled {
        app.output.changed(*task);
    }
    Ok(Json(CancelledTasksListReply {
        cancelled_count: cancelled.len() as u64,
        failed_uuids: request.uuids.into_iter().filter(|uuid| !cancelled.contains(uuid)).collect(),
    }))
}
