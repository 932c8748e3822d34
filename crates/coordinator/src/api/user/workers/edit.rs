//! `PUT /workers/{uuid}/tags` and `PUT /workers/{uuid}/labels`: what a worker can do, and how it is found.

use axum::extract::State;
use mitosis_domain::account::User;
use mitosis_domain::permission::Action;
use mitosis_domain::tags::Words;
use mitosis_protocol::task::LabelsRequest;
use mitosis_protocol::worker::TagsRequest;
use mitosis_protocol::{Role, Uuid};

use super::get::{find, require};
use crate::api::body::{Body, InPath};
use crate::api::reply::Empty;
use crate::api::user::tasks::submission::words;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal, Thing};

/// In force at the next fetch of the worker, also for tasks that wait already.
pub(super) async fn tags(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    Body(request): Body<TagsRequest>,
) -> Result<Empty, ApiError> {
    let tags = allowed(&app, &user, uuid, request.tags).await?;
    let known = app.store.set_worker_tags(uuid, &tags, app.now()).await?;
    app.bell.ring();
    answer(known, uuid)
}

pub(super) async fn labels(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    Body(request): Body<LabelsRequest>,
) -> Result<Empty, ApiError> {
    let labels = allowed(&app, &user, uuid, request.labels).await?;
    answer(app.store.set_worker_labels(uuid, &labels, app.now()).await?, uuid)
}

/// Needs Write in a group that has Write on the worker. 400 for an empty set: the contract knows no
/// clearing.
async fn allowed(app: &App, user: &User, uuid: Uuid, set: Vec<String>) -> Result<Words, ApiError> {
    let (_, groups) = find(app, uuid).await?;
    require(app, user, &groups, Action::LabelWorkers, Role::Write).await?;
    if set.is_empty() {
        return Err(Refusal::invalid("the set is empty; name at least one word").into());
    }
    Ok(words(set)?)
}

fn answer(known: bool, uuid: Uuid) -> Result<Empty, ApiError> {
    match known {
        true => Ok(Empty),
        false => Err(Refusal::no_such(Thing::Worker, uuid).into()),
    }
}
