//! `POST /tasks/cancel/list`: cancels the tasks of a list that wait.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use mitosis_protocol::Uuid;
use mitosis_protocol::task::{CancelTasksListRequest, CancelledTasksListReply};
use mitosis_store::ops::By;
use mitosis_store::ops::tasks::CancelSelection;

use super::portions::{PORTION, Pace, announce, interrupted};
use crate::api::body::Body;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal};

pub(super) fn routes() -> Routes {
    Routes::new().post("/tasks/cancel/list", Asks::Change, cancel_list, "Cancel tasks of a list that wait")
}

/// In portions. Ready and Pending ones, where the caller has Write; the others are listed as failed.
async fn cancel_list(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<CancelTasksListRequest>,
) -> Result<Json<CancelledTasksListReply>, ApiError> {
    if request.uuids.is_empty() {
        return Err(Refusal::empty_list("tasks").into());
    }
    let mut cancelled: HashSet<Uuid> = HashSet::new();
    for portion in request.uuids.chunks(PORTION) {
        let pace = Pace::begin(&app.requests);
        let selection = CancelSelection::Waiting(portion.to_vec());
        let ended = app.store.cancel(By::User(user.id), &selection, app.now()).await;
        let ended = ended.map_err(|error| interrupted(error.into(), cancelled.len(), "cancelled"))?;
        announce(&app, &ended);
        cancelled.extend(ended);
        pace.rest().await;
    }
    Ok(Json(CancelledTasksListReply {
        cancelled_count: cancelled.len() as u64,
        failed_uuids: request.uuids.into_iter().filter(|uuid| !cancelled.contains(uuid)).collect(),
    }))
}
