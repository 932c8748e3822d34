//! `GET /workers/{uuid}`: a worker, for members of a group that it serves.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::User;
use mitosis_domain::permission::Action;
use mitosis_domain::worker::Worker;
use mitosis_protocol::worker::{GetWorkerReply, WorkerInfo};
use mitosis_protocol::{Role, Uuid};

use crate::api::body::InPath;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal, Thing};

/// 404 for an unknown worker, 403 for one that serves none of the caller's groups.
pub(super) async fn get(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
) -> Result<Json<GetWorkerReply>, ApiError> {
    let (worker, groups) = find(&app, uuid).await?;
    require(&app, &user, &groups, Action::View, Role::Read).await?;
    Ok(Json(GetWorkerReply { info: info(worker), groups }))
}

/// The worker and the groups on it.
pub(super) async fn find(app: &App, uuid: Uuid) -> Result<(Worker, BTreeMap<String, Role>), ApiError> {
    let worker = app.store.worker(uuid).await?.ok_or_else(|| Refusal::no_such(Thing::Worker, uuid))?;
    let groups = app.store.worker_groups(worker.id).await?;
    Ok((worker, groups))
}

/// Whether the user may do this in a group that has at least this role on the worker.
pub(super) async fn require(
    app: &App,
    user: &User,
    on_worker: &BTreeMap<String, Role>,
    action: Action,
    least: Role,
) -> Result<(), ApiError> {
    let own = app.store.groups_of(user.id).await?;
    let allowed = on_worker
        .iter()
        .any(|(group, role)| *role >= least && own.get(group).is_some_and(|own| action.allowed_to(*own)));
    match allowed {
        true => Ok(()),
        false => Err(Refusal::forbidden(format!(
            "this needs the role {:?} in a group that has at least {least:?} on the worker",
            action.least_role()
        ))
        .hint("ask an Admin of a group that controls the worker")
        .into()),
    }
}

/// A worker as users see it.
pub(super) fn info(worker: Worker) -> WorkerInfo {
    WorkerInfo {
        worker_id: worker.uuid,
        creator_username: worker.creator_name,
        tags: worker.tags.to_vec(),
        labels: worker.labels.to_vec(),
        created_at: worker.created_at,
        updated_at: worker.updated_at,
        state: worker.state,
        last_heartbeat: worker.last_heartbeat,
        assigned_task_id: worker.held.first().copied(),
    }
}
