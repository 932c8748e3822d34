//! `PUT /groups/{group}/users`: adds members or changes their roles.

use axum::extract::State;
use http::StatusCode;
use mitosis_domain::permission::Action;
use mitosis_protocol::group::RelationsRequest;
use mitosis_store::ops::groups::MembersChange;

use crate::api::body::{Body, InPath};
use crate::api::members::require;
use crate::api::reply::Empty;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal};

/// All or nothing: 400 for an empty map, an unknown user, or when no Admin would be left.
pub(super) async fn update_users(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(group): InPath<String>,
    Body(request): Body<RelationsRequest>,
) -> Result<Empty, ApiError> {
    let id = require(&app, &user, &group, Action::ManageMembers).await?;
    if request.relations.is_empty() {
        return Err(Refusal::invalid("name at least one user")
            .hint("as in `mito client groups update-user lab ann:write`")
            .into());
    }
    answer(app.store.set_members(id, &request.relations, app.now()).await?)
}

/// What a change of members means to the caller.
pub(in crate::api) fn answer(change: MembersChange) -> Result<Empty, ApiError> {
    match change {
        MembersChange::Done => Ok(Empty),
        MembersChange::UnknownUser(name) => {
            let sentence = format!("there is no user `{name}`; nothing was changed");
            Err(Refusal::not_found_as(StatusCode::BAD_REQUEST, sentence)
                .hint("check the spelling; an account is made by an administrator")
                .into())
        }
        MembersChange::LastAdmin => Err(Refusal::invalid("the group would be left without an Admin")
            .hint("make somebody else Admin first")
            .into()),
    }
}
