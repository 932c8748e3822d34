//! `POST /workers/shutdown` and `POST /workers/shutdown/list`: stops many workers.

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::User;
use mitosis_domain::permission::Action;
use mitosis_protocol::worker::{
    ShutdownOp, ShutdownWorkersListReply, ShutdownWorkersListRequest, ShutdownWorkersReply,
    ShutdownWorkersRequest,
};
use mitosis_protocol::{Role, Uuid};
use mitosis_store::ops::Actor;
use mitosis_store::ops::query::WorkerPage;
use mitosis_store::ops::workers::Stop;

use super::query::checked;
use crate::api::body::Body;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};

/// Workers in one query.
const BATCH_SIZE: u64 = 100;

pub(super) fn routes() -> Routes {
    Routes::new().post("/workers/shutdown", Access::Write, by_filter, "Stop matching workers").post(
        "/workers/shutdown/list",
        Access::Write,
        by_list,
        "Stop listed workers",
    )
}

/// Stops workers that match a filter and on which the group is Admin. Needs Admin in the group.
async fn by_filter(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<ShutdownWorkersRequest>,
) -> Result<Json<ShutdownWorkersReply>, ApiError> {
    let (mut query, group_name) = checked(&app, &user, request.filter, Action::ControlWorkers).await?;
    let asked_for = |roles: Vec<Role>| roles.into_iter().filter(|role| *role == Role::Admin).collect();
    query.roles = Some(query.roles.map_or_else(|| vec![Role::Admin], asked_for));
    let mut shutdown_count = 0;
    let mut page = WorkerPage { after: None, limit: BATCH_SIZE, bytes: usize::MAX };
    loop {
        let found = app.store.query_workers(&query, page).await?;
        for worker in &found.workers {
            if stop(&app, &user, worker.uuid, request.op).await? {
                shutdown_count += 1;
            }
        }
        page.after = found.workers.last().map(|worker| worker.id);
        if found.is_complete || page.after.is_none() {
            break;
        }
    }
    Ok(Json(ShutdownWorkersReply { shutdown_count, group_name }))
}

/// Stops listed workers. The reply lists unknown workers, and those that the caller does not control, as failed.
async fn by_list(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<ShutdownWorkersListRequest>,
) -> Result<Json<ShutdownWorkersListReply>, ApiError> {
    if request.uuids.is_empty() {
        return Err(Rejection::empty_list("workers").into());
    }
    let mut reply = ShutdownWorkersListReply { shutdown_count: 0, failed_uuids: Vec::new() };
    for uuid in request.uuids {
        match stop(&app, &user, uuid, request.op).await? {
            true => reply.shutdown_count += 1,
            false => reply.failed_uuids.push(uuid),
        }
    }
    Ok(Json(reply))
}

/// Stops a worker. Returns false if it does not exist or the user does not control it.
async fn stop(app: &App, user: &User, uuid: Uuid, op: ShutdownOp) -> Result<bool, ApiError> {
    let stop = app.publish(app.store.stop_worker(Actor::User(user.id), uuid, op, app.now()).await?);
    Ok(matches!(stop, Stop::Removed | Stop::Marked))
}
