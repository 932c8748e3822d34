//! `PUT /workers/{uuid}/tags` and `PUT /workers/{uuid}/labels`: replaces the tags or labels of a worker.

use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_domain::tags::TagSet;
use mitosis_protocol::Uuid;
use mitosis_protocol::task::LabelsRequest;
use mitosis_protocol::worker::TagsRequest;
use mitosis_store::ops::Actor;
use mitosis_store::ops::workers::WorkerChange;

use super::get::not_in_control;
use crate::api::body::{Body, InPath};
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::submission::words;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new().put("/workers/{uuid}/tags", Access::Write, tags, "Replace the tags of a worker").put(
        "/workers/{uuid}/labels",
        Access::Write,
        labels,
        "Replace the labels of a worker",
    )
}

/// The tags apply to the next claim of the worker, also for tasks that already wait.
async fn tags(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    Body(request): Body<TagsRequest>,
) -> Result<Empty, ApiError> {
    let tags = named(request.tags)?;
    let change = app.store.set_worker_tags(Actor::User(user.id), uuid, &tags, app.now()).await?;
    answer(app.publish(change), uuid)
}

async fn labels(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    Body(request): Body<LabelsRequest>,
) -> Result<Empty, ApiError> {
    let labels = named(request.labels)?;
    answer(app.store.set_worker_labels(Actor::User(user.id), uuid, &labels, app.now()).await?, uuid)
}

/// Replies 400 for an empty set: the protocol does not support it.
fn named(set: Vec<String>) -> Result<TagSet, Rejection> {
    match set.is_empty() {
        true => Err(Rejection::invalid("the set is empty; at least one word is required")),
        false => words(set),
    }
}

/// Needs Write in a group that has Write on the worker.
fn answer(change: WorkerChange, uuid: Uuid) -> Result<Empty, ApiError> {
    match change {
        WorkerChange::Done => Ok(Empty),
        WorkerChange::Unknown => Err(Rejection::no_such(ResourceKind::Worker, uuid).into()),
        WorkerChange::Denied => Err(not_in_control(Action::LabelWorkers).into()),
    }
}
