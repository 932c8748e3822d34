//! `PUT /v1/groups/{group}/write-priority`: bounds the priorities of members with the role Write.

use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::group::WritePriorityRequest;
use mitosis_store::ops::Actor;

use super::update_users::not_admin;
use crate::api::body::{Body, InPath};
use crate::api::members::require;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new().put(
        "/v1/groups/{group}/write-priority",
        Access::Write,
        set,
        "Bound the priorities of members with the role Write",
    )
}

/// Needs Admin. Jobs with a larger priority are refused then; tasks of the legacy protocol get the largest one. Tasks that
/// were submitted before keep their priorities.
async fn set(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(group): InPath<String>,
    Body(WritePriorityRequest { most }): Body<WritePriorityRequest>,
) -> Result<Empty, ApiError> {
    let id = require(&app, &user, &group, Action::ManageLimits).await?;
    if most.is_some_and(|most| most < 0) {
        return Err(Rejection::invalid("the largest priority must be at least 0")
            .hint("0 is the priority of tasks without one")
            .into());
    }
    match app.store.set_write_priority(Actor::User(user.id), id, most, app.now()).await? {
        true => Ok(Empty),
        false => Err(not_admin().into()),
    }
}
