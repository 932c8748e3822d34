//! `GET /v1/tasks/{uuid}/explain`: why a task waits or how it ended, for members of its group.

use axum::Json;
use axum::extract::State;
use mitosis_domain::explain::{self, Moment};
use mitosis_domain::permission::Action;
use mitosis_protocol::Uuid;
use mitosis_protocol::explain::Explanation;

use super::find;
use crate::api::body::InPath;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/v1/tasks/{uuid}/explain",
        Access::Read,
        explain,
        "Explain why a task waits or how it ended",
    )
}

/// Explains a task in any state. The reply reveals nothing about a watched task in a group of others.
async fn explain(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
) -> Result<Json<Explanation>, ApiError> {
    find(&app, &user, uuid, Action::View).await?;
    let own_groups = app.store.groups_of(user.id).await?.into_keys().collect();
    let facts = app.store.facts(uuid).await?.ok_or_else(|| Rejection::no_such(ResourceKind::Task, uuid))?;
    let moment = Moment { now: app.now(), started_at: app.started_at, lease: app.lease, own_groups };
    Ok(Json(explain::explain(&facts, &moment)))
}
