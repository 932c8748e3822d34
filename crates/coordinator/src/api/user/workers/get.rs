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
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new().get("/workers/{uuid}", Asks::Look, get, "A worker with the groups on it")
}

/// 404 for an unknown worker, 403 for one that serves none of the caller's groups.
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

/// The worker and the groups on it.
async fn find(app: &App, uuid: Uuid) -> Result<(Worker, BTreeMap<String, Role>), ApiError> {
    let worker = app.store.worker(uuid).await?.ok_or_else(|| Refusal::no_such(ResourceKind::Worker, uuid))?;
    let groups = app.store.worker_groups(worker.id).await?;
    Ok((worker, groups))
}

/// Whoever is in no group with a role that allows this, on a worker that has such a group.
pub(super) fn not_in_control(action: Action) -> Refusal {
    let least = action.least_role();
    Refusal::forbidden(format!(
        "this needs the role {least:?} in a group that has at least {least:?} on the worker"
    ))
    .hint("ask an Admin of a group that controls the worker")
}

/// A worker as users see it: of its tasks, the oldest of these groups.
pub(super) fn info(worker: Worker, own_groups: &[GroupId], now: Timestamp) -> WorkerInfo {
    let missed = worker.missed_at <= now;
    let mut held = worker.held.iter().zip(&worker.held_groups);
    let assigned = held.find(|(_, group)| own_groups.contains(group));
    WorkerInfo {
        worker_id: worker.uuid,
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
    }
}
