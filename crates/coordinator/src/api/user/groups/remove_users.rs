//! `DELETE /groups/{group}/users?users=` and `POST /groups/{group}/users/remove`: takes users out of a
//! group.

use axum::extract::{RawQuery, State};
use mitosis_domain::account::User;
use mitosis_domain::permission::Action;
use mitosis_protocol::group::RemoveUsersRequest;
use mitosis_store::ops::By;

use super::update_users::answer;
use crate::api::body::{Body, InPath, repeated};
use crate::api::members::require;
use crate::api::openapi::Op;
use crate::api::reply::Empty;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal};

pub(super) fn routes() -> Routes {
    Routes::new()
        .delete(
            "/groups/{group}/users",
            Asks::Change,
            by_query,
            Op::new("Remove members").repeated("users", "Once for each user"),
        )
        .post("/groups/{group}/users/remove", Asks::Change, by_body, "Remove members")
}

/// Users as repeated keys after the question mark.
async fn by_query(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(group): InPath<String>,
    RawQuery(query): RawQuery,
) -> Result<Empty, ApiError> {
    remove(&app, &user, &group, &repeated(query.as_deref(), "users")).await
}

/// Users in the body.
async fn by_body(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(group): InPath<String>,
    Body(request): Body<RemoveUsersRequest>,
) -> Result<Empty, ApiError> {
    remove(&app, &user, &group, &request.users).await
}

/// All or none; workers of those who leave serve the group no more. Users who are not members are passed over; 400 for one that does not exist, and when no
/// Admin would be left.
async fn remove(app: &App, user: &User, group: &str, users: &[String]) -> Result<Empty, ApiError> {
    let id = require(app, user, group, Action::ManageMembers).await?;
    if users.is_empty() {
        return Err(Refusal::invalid("name at least one user")
            .hint("`mito client groups get` shows the members")
            .into());
    }
    answer(app, app.store.remove_members(By::User(user.id), id, users, app.now()).await?)
}
