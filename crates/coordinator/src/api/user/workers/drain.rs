//! `PUT` and `DELETE /v1/workers/{uuid}/drain`: lets a worker rest, and work again.

use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::Uuid;
use mitosis_protocol::worker::DrainWorkerRequest;
use mitosis_store::ops::Actor;
use mitosis_store::ops::workers::WorkerChange;

use super::get::not_in_control;
use crate::api::body::{Body, InPath};
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection, ResourceKind};

/// The longest reason, in characters.
const MAX_REASON_CHARS: usize = 200;

pub(super) fn routes() -> Routes {
    let path = "/v1/workers/{uuid}/drain";
    Routes::new().put(path, Access::Write, drain, "Let a worker take no more tasks").delete(
        path,
        Access::Write,
        resume,
        "Let a drained worker take tasks again",
    )
}

/// The worker finishes the tasks that it holds, and stays registered. Needs Admin in a group that is Admin on the worker.
async fn drain(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    Body(DrainWorkerRequest { reason }): Body<DrainWorkerRequest>,
) -> Result<Empty, ApiError> {
    if reason.chars().count() > MAX_REASON_CHARS || reason.chars().any(char::is_control) {
        let text = format!("a reason must be one line of at most {MAX_REASON_CHARS} characters");
        return Err(Rejection::invalid(text).into());
    }
    change(&app, Actor::User(user.id), uuid, Some(&reason)).await
}

/// Needs Admin in a group that is Admin on the worker.
async fn resume(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
) -> Result<Empty, ApiError> {
    change(&app, Actor::User(user.id), uuid, None).await
}

async fn change(app: &App, actor: Actor, uuid: Uuid, reason: Option<&str>) -> Result<Empty, ApiError> {
    match app.publish(app.store.drain_worker(actor, uuid, reason, app.now()).await?) {
        WorkerChange::Done => Ok(Empty),
        WorkerChange::Denied => Err(not_in_control(Action::ControlWorkers).into()),
        WorkerChange::Unknown => Err(Rejection::no_such(ResourceKind::Worker, uuid).into()),
    }
}
