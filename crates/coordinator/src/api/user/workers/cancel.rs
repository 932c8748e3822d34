//! `DELETE /workers/{uuid}?op=`: stops a worker.

use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::Uuid;
use mitosis_protocol::worker::ShutdownOp;
use mitosis_store::ops::Actor;
use mitosis_store::ops::workers::Stop;
use serde::Deserialize;
use utoipa::ToSchema;

use super::get::not_in_control;
use crate::api::body::{InPath, InQuery};
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection, ResourceKind};

/// Query parameters.
#[derive(Deserialize, ToSchema)]
pub(in crate::api) struct Op {
    /// `Force` to stop at once; graceful by default
    #[serde(default)]
    pub(in crate::api) op: ShutdownOp,
}

pub(super) fn routes() -> Routes {
    Routes::new().delete("/workers/{uuid}", Access::Write, cancel, "Stop a worker")
}

/// Needs Admin in a group that is Admin on the worker.
async fn cancel(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
    InQuery(Op { op }): InQuery<Op>,
) -> Result<Empty, ApiError> {
    stop(&app, Actor::User(user.id), uuid, op).await
}

/// Stops a worker, and announces a task that it returns.
pub(in crate::api) async fn stop(
    app: &App,
    actor: Actor,
    uuid: Uuid,
    op: ShutdownOp,
) -> Result<Empty, ApiError> {
    match app.publish(app.store.stop_worker(actor, uuid, op, app.now()).await?) {
        Stop::Removed | Stop::Marked => Ok(Empty),
        Stop::NotInControl => Err(not_in_control(Action::ControlWorkers).into()),
        Stop::Unknown => Err(Rejection::no_such(ResourceKind::Worker, uuid).into()),
    }
}
