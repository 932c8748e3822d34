//! `POST /workers/shutdown` and `POST /workers/shutdown/list`: stops many workers.

use axum::Json;
use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::Role;
use mitosis_protocol::worker::{
    ShutdownWorkersListReply, ShutdownWorkersListRequest, ShutdownWorkersReply, ShutdownWorkersRequest,
};
use mitosis_store::ops::workers::Stop;

use super::get::{find, require};
use super::query::checked;
use crate::api::body::Body;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal};

/// Those that match a filter and on which the group is Admin. Needs Admin in the group.
pub(super) async fn by_filter(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<ShutdownWorkersRequest>,
) -> Result<Json<ShutdownWorkersReply>, ApiError> {
    let (mut query, group_name) = checked(&app, &user, request.filter, Action::ControlWorkers).await?;
    let asked_for = |roles: Vec<Role>| roles.into_iter().filter(|role| *role == Role::Admin).collect();
    query.roles = Some(query.roles.map_or_else(|| vec![Role::Admin], asked_for));
    let mut shutdown_count = 0;
    for worker in app.store.query_workers(&query).await? {
        if app.store.stop_worker(worker.uuid, request.op, app.now()).await? != Stop::Unknown {
            shutdown_count += 1;
            app.summon(worker.uuid);
        }
    }
    app.bell.ring();
    Ok(Json(ShutdownWorkersReply { shutdown_count, group_name }))
}

/// Those of a list; unknown ones, and those that the caller does not control, are listed as failed.
pub(super) async fn by_list(
    State(app): State<App>,
    Caller(user): Caller,
    Body(request): Body<ShutdownWorkersListRequest>,
) -> Result<Json<ShutdownWorkersListReply>, ApiError> {
    if request.uuids.is_empty() {
        return Err(Refusal::empty_list("workers").into());
    }
    let mut reply = ShutdownWorkersListReply { shutdown_count: 0, failed_uuids: Vec::new() };
    for uuid in request.uuids {
        let allowed = async {
            let (_, groups) = find(&app, uuid).await?;
            require(&app, &user, &groups, Action::ControlWorkers, Role::Admin).await
        };
        let stopped = match allowed.await {
            Ok(()) => app.store.stop_worker(uuid, request.op, app.now()).await? != Stop::Unknown,
            Err(ApiError::Refused(_)) => false,
            Err(fault) => return Err(fault),
        };
        match stopped {
            true => {
                reply.shutdown_count += 1;
                app.summon(uuid);
            }
            false => reply.failed_uuids.push(uuid),
        }
    }
    app.bell.ring();
    Ok(Json(reply))
}
