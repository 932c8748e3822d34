//! `DELETE /v1/groups/{group}`: deletes a group.

use axum::extract::State;
use mitosis_domain::permission::Action;
use mitosis_protocol::audit::actions;
use mitosis_store::ops::By;
use mitosis_store::ops::groups::GroupDeletion;

use super::update_users::not_admin;
use crate::api::body::InPath;
use crate::api::forwarded::Forwarded;
use crate::api::members::require;
use crate::api::reply::Empty;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal};

/// Needs Admin. Waiting tasks are cancelled, running ones end; an administrator can undo it.
pub(super) async fn delete(
    State(app): State<App>,
    Caller(user): Caller,
    Forwarded { client, .. }: Forwarded,
    InPath(group): InPath<String>,
) -> Result<Empty, ApiError> {
    let id = require(&app, &user, &group, Action::ManageMembers).await?;
    match app.store.delete_group(By::User(user.id), id, app.now()).await? {
        GroupDeletion::Deleted(cancelled) => {
            app.memberships.forget_all();
            app.news.ring();
            for task in cancelled {
                app.output.changed(task);
            }
            app.record(&user.name, actions::GROUP_DELETED, group, Some(client)).await?;
            Ok(Empty)
        }
        GroupDeletion::Denied => Err(not_admin().into()),
        GroupDeletion::Personal => Err(Refusal::invalid("a personal group lasts as long as its user")
            .hint("an administrator can delete the user")
            .into()),
    }
}
