//! `PUT /groups/{group}/users`: adds members or changes their roles.

use axum::extract::State;
use http::StatusCode;
use mitosis_domain::permission::Action;
use mitosis_protocol::group::RelationsRequest;
use mitosis_store::ops::Actor;
use mitosis_store::ops::groups::MembersChange;

use crate::api::body::{Body, InPath};
use crate::api::members::require;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new().put(
        "/groups/{group}/users",
        Access::Write,
        update_users,
        "Add members or change their roles",
    )
}

/// All or nothing: 400 for an empty map, an unknown user, or when no Admin would be left.
async fn update_users(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(group): InPath<String>,
    Body(request): Body<RelationsRequest>,
) -> Result<Empty, ApiError> {
    let id = require(&app, &user, &group, Action::ManageMembers).await?;
    if request.relations.is_empty() {
        return Err(Rejection::invalid("at least one user is required")
            .hint("for example `mito client groups update-user lab ann:write`")
            .into());
    }
    answer(app.publish(app.store.set_members(Actor::User(user.id), id, &request.relations, app.now()).await?))
}

/// The rejection of a user without the role Admin.
pub(super) fn not_admin() -> Rejection {
    Rejection::forbidden("this operation requires the role Admin in the group")
        .hint("ask an Admin of the group")
}

/// Replies to a change of members.
pub(in crate::api) fn answer(change: MembersChange) -> Result<Empty, ApiError> {
    match change {
        MembersChange::Done(_) => Ok(Empty),
        MembersChange::Denied => Err(not_admin().into()),
        MembersChange::UnknownUser(name) => {
            let sentence = format!("there is no user `{name}`; nothing was changed");
            Err(Rejection::not_found_as(StatusCode::BAD_REQUEST, sentence)
                .hint("check the spelling; administrators create accounts")
                .into())
        }
        MembersChange::LastAdmin => Err(Rejection::invalid("the group must keep at least one Admin")
            .hint("make another member Admin first")
            .into()),
    }
}
