//! `GET /users/groups`: the groups and roles of the caller.

use axum::Json;
use axum::extract::State;
use mitosis_protocol::auth::OwnGroupsReply;

use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().get("/users/groups", Access::Read, groups, "List the groups and roles of the caller")
}

/// Returns all groups, including the personal one.
async fn groups(State(app): State<App>, Caller(user): Caller) -> Result<Json<OwnGroupsReply>, ApiError> {
    Ok(Json(OwnGroupsReply { groups: app.store.groups_of(user.id).await? }))
}
