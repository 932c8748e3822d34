//! `PUT` and `DELETE /workers/{uuid}/groups`, and `DELETE /workers/{uuid}/groups/remove`: which groups use a
//! worker.

use axum::extract::{RawQuery, State};
use http::StatusCode;
use mitosis_domain::account::User;
use mitosis_domain::permission::Action;
use mitosis_protocol::group::RelationsRequest;
use mitosis_protocol::worker::RemoveGroupsRequest;
use mitosis_protocol::{Role, Uuid};
use mitosis_store::ops::workers::WorkerGroupsChange;

use super::get::{find, require};
use crate::api::body::{Body, InPath, repeated};
use crate::api::reply::Empty;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal, Thing};

/// Gives groups their roles on the worker, all or none.
pub(super) async fn set(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    Body(request): Body<RelationsRequest>,
) -> Result<Empty, ApiError> {
    control(&app, &user, uuid, request.relations.is_empty()).await?;
    let change = app.store.set_worker_groups(uuid, &request.relations, app.now()).await?;
    app.bell.ring();
    answer(change, uuid)
}

/// Groups as repeated keys after the question mark.
pub(super) async fn remove_by_query(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    RawQuery(query): RawQuery,
) -> Result<Empty, ApiError> {
    remove(&app, &user, uuid, &repeated(query.as_deref(), "groups")).await
}

/// Groups in the body.
pub(super) async fn remove_by_body(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    Body(request): Body<RemoveGroupsRequest>,
) -> Result<Empty, ApiError> {
    remove(&app, &user, uuid, &request.groups).await
}

/// Takes groups off the worker, all or none.
async fn remove(app: &App, user: &User, uuid: Uuid, groups: &[String]) -> Result<Empty, ApiError> {
    control(app, user, uuid, groups.is_empty()).await?;
    answer(app.store.remove_worker_groups(uuid, groups, app.now()).await?, uuid)
}

/// Needs Admin in a group that is Admin on the worker.
async fn control(app: &App, user: &User, uuid: Uuid, nothing_named: bool) -> Result<(), ApiError> {
    let (_, groups) = find(app, uuid).await?;
    require(app, user, &groups, Action::ControlWorkers, Role::Admin).await?;
    match nothing_named {
        true => Err(Refusal::invalid("name at least one group").into()),
        false => Ok(()),
    }
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
        WorkerGroupsChange::UnknownWorker => Err(Refusal::no_such(Thing::Worker, uuid).into()),
    }
}
