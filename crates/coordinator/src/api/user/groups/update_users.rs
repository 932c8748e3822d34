//! `PUT /groups/{group}/users`: adds members or changes their roles.

use axum::extract::State;
use http::StatusCode;
use mitosis_domain::permission::Action;
use mitosis_protocol::group::RelationsRequest;
use mitosis_store::ops::By;
use mitosis_store::ops::groups::MembersChange;

use crate::api::body::{Body, InPath};
use crate::api::members::require;
use crate::api::reply::Empty;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal};

pub(super) fn routes() -> Routes {
    Routes::new().put(
        "/groups/{group}/users",
        Asks::Change,
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
        return Err(Refusal::invalid("name at least one user")
            .hint("as in `mito client groups update-user lab ann:write`")
            .into());
    }
    answer(&app, app.store.set_members(By::User(user.id), id, &request.relations, app.now()).await?)
}

/// Who was Admin a moment ago.
pub(super) fn not_admin() -> Refusal {
    Refusal::forbidden("this needs the role Admin in the group").hint("ask an Admin of the group")
}

/// What a change of members means to the caller, and to workers that do not serve the group any more.
pub(in crate::api) fn answer(app: &App, change: MembersChange) -> Result<Empty, ApiError> {
    match change {
        MembersChange::Done(workers) => {
            app.memberships.forget_all();
            if !workers.is_empty() {
                app.wake_agents(&workers);
                app.ready.notify();
                app.changed.notify();
            }
            Ok(Empty)
        }
        MembersChange::Denied => Err(not_admin().into()),
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
