//! `DELETE /v1/groups/{group}`: deletes a group.

use axum::extract::State;
use mitosis_domain::ids::GroupId;
use mitosis_domain::permission::Action;
use mitosis_protocol::audit::actions;
use mitosis_store::StoreError;
use mitosis_store::ops::Actor;
use mitosis_store::ops::groups::GroupDeletion;

use super::update_users::not_admin;
use crate::api::body::InPath;
use crate::api::forwarded::Forwarded;
use crate::api::members::require;
use crate::api::reply::Empty;
use crate::api::routes::{Access, Routes};
use crate::api::user::tasks::batches::Pacer;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection};

pub(super) fn routes() -> Routes {
    Routes::new().delete(
        "/v1/groups/{group}",
        Access::Write,
        delete,
        "Delete a group (an administrator can restore it)",
    )
}

/// Needs Admin. Waiting tasks are cancelled, running ones finish. An administrator can restore the group.
async fn delete(
    State(app): State<App>,
    Caller(user): Caller,
    Forwarded { client, .. }: Forwarded,
    InPath(group): InPath<String>,
) -> Result<Empty, ApiError> {
    let id = require(&app, &user, &group, Action::ManageMembers).await?;
    match app.publish(app.store.delete_group(Actor::User(user.id), id, app.now()).await?) {
        GroupDeletion::Deleted(_) => {
            app.record(&user.name, actions::GROUP_DELETED, group, Some(client)).await?;
            cancel_remaining(&app, id).await?;
            Ok(Empty)
        }
        GroupDeletion::Denied => Err(not_admin().into()),
        GroupDeletion::Personal => {
            Err(Rejection::invalid("a personal group can't be deleted while its user exists")
                .hint("ask an administrator to delete the user")
                .into())
        }
    }
}

/// Cancels the tasks that the deletion itself has left, and returns their number. The deletion cancels only one batch;
/// no new tasks can arrive after it. If this is interrupted, a pass over deleted groups continues.
pub(crate) async fn cancel_remaining(app: &App, group: GroupId) -> Result<usize, StoreError> {
    let mut count = 0;
    loop {
        let pacer = Pacer::begin(&app.request_counter);
        let cancelled = app.retry.transient(|| app.store.continue_deletion(group, app.now())).await?;
        let cancelled = app.publish(cancelled);
        if cancelled.is_empty() {
            return Ok(count);
        }
        count += cancelled.len();
        pacer.pause().await;
    }
}
