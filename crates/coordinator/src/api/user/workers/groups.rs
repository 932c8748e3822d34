//! `PUT` and `DELETE /workers/{uuid}/groups`, and `DELETE /workers/{uuid}/groups/remove`: which groups use a
//! worker.

use axum::extract::{RawQuery, State};
use http::StatusCode;
use mitosis_domain::account::User;
use mitosis_domain::permission::Action;
use mitosis_protocol::Uuid;
use mitosis_protocol::group::RelationsRequest;
use mitosis_protocol::worker::RemoveGroupsRequest;
use mitosis_store::ops::By;
use mitosis_store::ops::workers::WorkerGroupsChange;

use super::get::not_in_control;
use crate::api::body::{Body, InPath, repeated};
use crate::api::members::permit;
use crate::api::openapi::Op;
use crate::api::reply::Empty;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new()
        .put("/workers/{uuid}/groups", Asks::Change, set, "Let groups use a worker")
        .delete(
            "/workers/{uuid}/groups",
            Asks::Change,
            remove_by_query,
            Op::new("Take groups off a worker").repeated("groups", "Once for each group"),
        )
        .delete("/workers/{uuid}/groups/remove", Asks::Change, remove_by_body, "Take groups off a worker")
}

/// Gives groups their roles on the worker, all or none. Needs Admin in a group that is Admin on the worker, and
/// Write in each group that comes or is given a higher role.
async fn set(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    Body(request): Body<RelationsRequest>,
) -> Result<Empty, ApiError> {
    if request.relations.is_empty() {
        return Err(nothing_named().into());
    }
    let by = By::User(user.id);
    let change = app.store.set_worker_groups(by, uuid, &request.relations, app.now()).await?;
    app.ready.notify();
    answer(change, uuid)
}

/// Groups as repeated keys after the question mark.
async fn remove_by_query(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    RawQuery(query): RawQuery,
) -> Result<Empty, ApiError> {
    remove(&app, &user, uuid, &repeated(query.as_deref(), "groups")).await
}

/// Groups in the body.
async fn remove_by_body(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    Body(request): Body<RemoveGroupsRequest>,
) -> Result<Empty, ApiError> {
    remove(&app, &user, uuid, &request.groups).await
}

/// Takes groups off the worker, all or none. Needs Admin in a group that is Admin on the worker; or in each of
/// the groups, and then it gives back at once what it runs for them.
async fn remove(app: &App, user: &User, uuid: Uuid, groups: &[String]) -> Result<Empty, ApiError> {
    if groups.is_empty() {
        return Err(nothing_named().into());
    }
    let change = app.store.remove_worker_groups(By::User(user.id), uuid, groups, app.now()).await?;
    app.ready.notify();
    app.changed.notify();
    app.wake_agent(uuid);
    answer(change, uuid)
}

fn nothing_named() -> Refusal {
    Refusal::invalid("name at least one group")
}

fn answer(change: WorkerGroupsChange, uuid: Uuid) -> Result<Empty, ApiError> {
    match change {
        WorkerGroupsChange::Done => Ok(Empty),
        WorkerGroupsChange::UnknownGroup(name) => {
            let sentence = format!("there is no group `{name}`; nothing was changed");
            Err(Refusal::not_found_as(StatusCode::BAD_REQUEST, sentence)
                .hint("`mito client users groups` lists yours")
                .into())
        }
        WorkerGroupsChange::UnknownWorker => Err(Refusal::no_such(ResourceKind::Worker, uuid).into()),
        WorkerGroupsChange::NotInControl => Err(not_in_control(Action::ControlWorkers).into()),
        WorkerGroupsChange::MayNotServe(name, membership) => {
            permit(membership, &name, Action::Serve)?;
            Err(not_in_control(Action::Serve).into())
        }
    }
}
