//! `GET /users/groups`: the caller's groups and roles.

use axum::Json;
use axum::extract::State;
use mitosis_protocol::auth::OwnGroupsReply;

use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

pub(super) fn routes() -> Routes {
    Routes::new().get("/users/groups", Asks::Look, groups, "The caller's groups and roles")
}

/// Every group, the personal one included.
async fn groups(State(app): State<App>, Caller(user): Caller) -> Result<Json<OwnGroupsReply>, ApiError> {
    Ok(Json(OwnGroupsReply { groups: app.store.groups_of(user.id).await? }))
}
