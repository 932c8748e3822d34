//! `POST /tasks/cancel/list`: cancels the waiting tasks of a list.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use mitosis_protocol::Uuid;
use mitosis_protocol::task::{CancelTasksListRequest, CancelledTasksListReply};
use mitosis_store::ops::Actor;
use mitosis_store::ops::tasks::CancelSelection;

use super::batches::{BATCH_SIZE, Pacer, interrupted};
use crate::api::body::Body;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new().post("/tasks/cancel/list", Access::Write, cancel_list, "Cancel listed tasks that wait")
}

/// Cancels the Ready and Pending tasks of groups in which the caller has Write, in batches. The reply lists all others
/// as failed.
async fn cancel_list(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<CancelTasksListRequest>,
) -> Result<Json<CancelledTasksListReply>, ApiError> {
    if request.uuids.is_empty() {
        return Err(Rejection::empty_list("tasks").into());
    }
    let mut cancelled: HashSet<Uuid> = HashSet::new();
    for batch in request.uuids.chunks(BATCH_SIZE) {
        let pacer = Pacer::begin(&app.request_counter);
        let selection = CancelSelection::Waiting(batch.to_vec());
        let ended = app.store.cancel(Actor::User(user.id), &selection, app.now()).await;
        let ended = ended.map_err(|error| interrupted(error.into(), cancelled.len(), "cancelled"))?;
        cancelled.extend(app.publish(ended));
        pacer.pause().await;
    }
    Ok(Json(CancelledTasksListReply {
        cancelled_count: cancelled.len() as u64,
        failed_uuids: request.uuids.into_iter().filter(|uuid| !cancelled.contains(uuid)).collect(),
    }))
}
