//! `PUT` and `DELETE /workers/{uuid}/groups`, and `DELETE /workers/{uuid}/groups/remove`: sets which groups use a
//! worker.

use axum::extract::{RawQuery, State};
use http::StatusCode;
use mitosis_domain::account::User;
use mitosis_domain::permission::Action;
use mitosis_protocol::Uuid;
use mitosis_protocol::group::RelationsRequest;
use mitosis_protocol::worker::RemoveGroupsRequest;
use mitosis_store::ops::Actor;
use mitosis_store::ops::workers::WorkerGroupsChange;

use super::get::not_in_control;
use crate::api::body::{Body, InPath, repeated};
use crate::api::members::permit;
use crate::api::openapi::Op;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new()
        .put("/workers/{uuid}/groups", Access::Write, set, "Set the roles of groups on a worker")
        .delete(
            "/workers/{uuid}/groups",
            Access::Write,
            remove_by_query,
            Op::new("Remove groups from a worker").repeated("groups", "Repeated for each group"),
        )
        .delete("/workers/{uuid}/groups/remove", Access::Write, remove_by_body, "Remove groups from a worker")
}

/// Sets the roles of groups on the worker, all or none. Needs Admin in a group that is Admin on the worker, and Write in
/// each group that is added or gets a higher role.
async fn set(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    Body(request): Body<RelationsRequest>,
) -> Result<Empty, ApiError> {
    if request.relations.is_empty() {
        return Err(no_groups().into());
    }
    let actor = Actor::User(user.id);
    let change = app.store.set_worker_groups(actor, uuid, &request.relations, app.now()).await?;
    answer(app.publish(change), uuid)
}

/// The groups are repeated query parameters.
async fn remove_by_query(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    RawQuery(query): RawQuery,
) -> Result<Empty, ApiError> {
    remove(&app, &user, uuid, &repeated(query.as_deref(), "groups")).await
}

/// The groups are in the body.
async fn remove_by_body(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    Body(request): Body<RemoveGroupsRequest>,
) -> Result<Empty, ApiError> {
    remove(&app, &user, uuid, &request.groups).await
}

/// Removes groups from the worker, all or none. Needs Admin in a group that is Admin on the worker; or in each of the
/// groups, and then the worker returns their running tasks at once.
async fn remove(app: &App, user: &User, uuid: Uuid, groups: &[String]) -> Result<Empty, ApiError> {
    if groups.is_empty() {
        return Err(no_groups().into());
    }
    let change = app.store.remove_worker_groups(Actor::User(user.id), uuid, groups, app.now()).await?;
    answer(app.publish(change), uuid)
}

fn no_groups() -> Rejection {
    Rejection::invalid("at least one group is required")
}

fn answer(change: WorkerGroupsChange, uuid: Uuid) -> Result<Empty, ApiError> {
    match change {
        WorkerGroupsChange::Done => Ok(Empty),
        WorkerGroupsChange::UnknownGroup(name) => {
            let sentence = format!("there is no group `{name}`; nothing was changed");
            Err(Rejection::not_found_as(StatusCode::BAD_REQUEST, sentence)
                .hint("`mito client users groups` lists your groups")
                .into())
        }
        WorkerGroupsChange::UnknownWorker => Err(Rejection::no_such(ResourceKind::Worker, uuid).into()),
        WorkerGroupsChange::NotInControl => Err(not_in_control(Action::ControlWorkers).into()),
        WorkerGroupsChange::MayNotServe(name, membership) => {
            permit(membership, &name, Action::Serve)?;
            Err(not_in_control(Action::Serve).into())
        }
    }
}
