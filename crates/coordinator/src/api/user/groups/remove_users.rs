//! `DELETE /groups/{group}/users?users=` and `POST /groups/{group}/users/remove`: removes users from a
//! group.

use axum::extract::{RawQuery, State};
use mitosis_domain::account::User;
use mitosis_domain::permission::Action;
use mitosis_protocol::group::RemoveUsersRequest;
use mitosis_store::ops::Actor;

use super::update_users::answer;
use crate::api::body::{Body, InPath, repeated};
use crate::api::members::require;
use crate::api::openapi::Op;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new()
        .delete(
            "/groups/{group}/users",
            Access::Write,
            by_query,
            Op::new("Remove members").repeated("users", "Repeated for each user"),
        )
        .post("/groups/{group}/users/remove", Access::Write, by_body, "Remove members")
}

/// The users are repeated query parameters.
async fn by_query(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(group): InPath<String>,
    RawQuery(query): RawQuery,
) -> Result<Empty, ApiError> {
    remove(&app, &user, &group, &repeated(query.as_deref(), "users")).await
}

/// The users are in the body.
async fn by_body(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(group): InPath<String>,
    Body(request): Body<RemoveUsersRequest>,
) -> Result<Empty, ApiError> {
    remove(&app, &user, &group, &request.users).await
}

/// Removes all listed users, or none. Their workers no longer serve the group. Users who are not members are skipped.
/// Replies 400 for an unknown user, and if no Admin would be left.
async fn remove(app: &App, user: &User, group: &str, users: &[String]) -> Result<Empty, ApiError> {
    let id = require(app, user, group, Action::ManageMembers).await?;
    if users.is_empty() {
        return Err(Rejection::invalid("at least one user is required")
            .hint("`mito client groups get` shows the members")
            .into());
    }
    answer(app.publish(app.store.remove_members(Actor::User(user.id), id, users, app.now()).await?))
}
