//! `GET /v1/tasks/{uuid}/explain`: why a task waits, or what became of it, for members of its group.

use axum::Json;
use axum::extract::State;
use mitosis_domain::explain::{self, Moment};
use mitosis_domain::permission::Action;
use mitosis_protocol::Uuid;
use mitosis_protocol::explain::Explanation;

use super::find;
use crate::api::body::InPath;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/v1/tasks/{uuid}/explain",
        Asks::Look,
        explain,
        "Why a task waits, or what became of it",
    )
}

/// In any state. Of a watched task in a group that the caller is not in, nothing is told.
async fn explain(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(uuid): InPath<Uuid>,
) -> Result<Json<Explanation>, ApiError> {
    find(&app, &user, uuid, Action::View).await?;
    let own_groups = app.store.groups_of(user.id).await?.into_keys().collect();
    let facts = app.store.facts(uuid).await?.ok_or_else(|| Refusal::no_such(ResourceKind::Task, uuid))?;
    let moment = Moment { now: app.now(), started_at: app.started_at, lease: app.lease, own_groups };
    Ok(Json(explain::explain(&facts, &moment)))
}
