//! `DELETE /admin/workers/{uuid}?op=`: stops any worker.

use axum::extract::State;
use mitosis_protocol::Uuid;
use mitosis_protocol::audit::actions;
use mitosis_store::ops::Actor;

use crate::api::body::{InPath, InQuery};
use crate::api::forwarded::Forwarded;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::api::user::workers::{Op, stop};
use crate::app::App;
use crate::auth::caller::AdminCaller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().delete("/admin/workers/{uuid}", Access::Admin, cancel, "Stop any worker")
}

/// Like `DELETE /workers/{uuid}`, for the worker of any user.
async fn cancel(
    State(app): State<App>,
    AdminCaller(admin): AdminCaller,
    Forwarded { client, .. }: Forwarded,
    InPath(uuid): InPath<Uuid>,
    InQuery(Op { op }): InQuery<Op>,
) -> Result<Empty, ApiError> {
    let done = stop(&app, Actor::Administrator(admin.id), uuid, op).await?;
    app.record(&admin.name, actions::WORKER_STOPPED, format!("{uuid} {op:?}"), Some(client)).await?;
    Ok(done)
}
