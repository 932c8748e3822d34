//! `DELETE /v1/groups/{group}`: deletes a group.

use axum::extract::State;
use mitosis_domain::ids::GroupId;
use mitosis_domain::permission::Action;
use mitosis_protocol::audit::actions;
use mitosis_store::StoreError;
use mitosis_store::ops::By;
use mitosis_store::ops::groups::GroupDeletion;

use super::update_users::not_admin;
use crate::api::body::InPath;
use crate::api::forwarded::Forwarded;
use crate::api::members::require;
use crate::api::reply::Empty;
use crate::api::routes::{Asks, Routes};
use crate::api::user::tasks::portions::{Pace, announce};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Refusal};

pub(super) fn routes() -> Routes {
    Routes::new().delete(
        "/v1/groups/{group}",
        Asks::Change,
        delete,
        "Delete a group; an administrator can undo it",
    )
}

/// Needs Admin. Waiting tasks are cancelled, running ones end; an administrator can undo it.
async fn delete(
    State(app): State<App>,
    Caller(user): Caller,
    Forwarded { client, .. }: Forwarded,
    InPath(group): InPath<String>,
) -> Result<Empty, ApiError> {
    let id = require(&app, &user, &group, Action::ManageMembers).await?;
    match app.store.delete_group(By::User(user.id), id, app.now()).await? {
        GroupDeletion::Deleted(cancelled) => {
            app.memberships.forget_all();
            announce(&app, &cancelled);
            app.record(&user.name, actions::GROUP_DELETED, group, Some(client)).await?;
            cancel_the_rest(&app, id).await?;
            Ok(Empty)
        }
        GroupDeletion::Denied => Err(not_admin().into()),
        GroupDeletion::Personal => Err(Refusal::invalid("a personal group lasts as long as its user")
            .hint("an administrator can delete the user")
            .into()),
    }
}

/// The deletion itself ends one portion of what waits; nothing new comes behind it. Answers how many tasks were left.
/// Should this be cut off, a pass over deleted groups goes on with it.
pub(crate) async fn cancel_the_rest(app: &App, group: GroupId) -> Result<usize, StoreError> {
    let mut count = 0;
    loop {
        let pace = Pace::begin(&app.requests);
        let cancelled = app.retry.transient(|| app.store.continue_deletion(group, app.now())).await?;
        if cancelled.is_empty() {
            return Ok(count);
        }
        count += cancelled.len();
        announce(app, &cancelled);
        pace.rest().await;
    }
}
