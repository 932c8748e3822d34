//! `GET /workers/{uuid}`: a worker, for members of a group that it serves.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use mitosis_domain::ids::GroupId;
use mitosis_domain::permission::Action;
use mitosis_domain::worker::Worker;
use mitosis_protocol::worker::{GetWorkerReply, WorkerInfo};
use mitosis_protocol::{Role, Timestamp, Uuid};

use crate::api::body::InPath;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new().get("/workers/{uuid}", Access::Read, get, "Get a worker and its groups")
}

/// Replies 404 for an unknown worker, and 403 for one that serves none of the groups of the caller.
async fn get(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
) -> Result<Json<GetWorkerReply>, ApiError> {
    let (worker, groups) = find(&app, uuid).await?;
    let own = app.store.groups_of(user.id).await?;
    if !groups.keys().any(|group| own.contains_key(group)) {
        return Err(not_in_control(Action::View).into());
    }
    let own = app.store.group_ids_of(user.id).await?;
    Ok(Json(GetWorkerReply { info: info(worker, &own, app.now()), groups }))
}

/// Finds a worker and the roles of groups on it.
async fn find(app: &App, uuid: Uuid) -> Result<(Worker, BTreeMap<String, Role>), ApiError> {
    let worker =
        app.store.worker(uuid).await?.ok_or_else(|| Rejection::no_such(ResourceKind::Worker, uuid))?;
    let groups = app.store.worker_groups(worker.id).await?;
    Ok((worker, groups))
}

/// The rejection of a user without a sufficient role in any group that has the same role on the worker.
pub(super) fn not_in_control(action: Action) -> Rejection {
    let least = action.least_role();
    Rejection::forbidden(format!(
        "this operation requires the role {least:?} in a group that has at least {least:?} on the worker"
    ))
    .hint("ask an Admin of a group that controls the worker")
}

/// Converts a worker for a user. Of its tasks, the reply has the oldest one of these groups.
pub(crate) fn info(worker: Worker, own_groups: &[GroupId], now: Timestamp) -> WorkerInfo {
    let missed = worker.missed_at <= now;
    let mut held = worker.held.iter().zip(&worker.held_groups);
    let assigned = held.find(|(_, group)| own_groups.contains(group));
    let free = worker.free();
    WorkerInfo {
        worker_id: worker.uuid,
        host: worker.host,
        facts: worker.facts,
        drain_reason: worker.drain_reason,
        assigned_task_id: assigned.map(|(task, _)| *task),
        creator_username: worker.creator_name,
        tags: worker.tags.to_vec(),
        labels: worker.labels.to_vec(),
        created_at: worker.created_at,
        updated_at: worker.updated_at,
        state: worker.state,
        last_heartbeat: worker.last_heartbeat,
        missed,
        lost_at: missed.then_some(worker.lost_at),
        lost_after: worker.lost_after,
        free,
        offer: worker.offer,
        ends_at: worker.ends_at,
    }
}
