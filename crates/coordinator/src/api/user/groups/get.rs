//! `GET /groups/{group}`: a group, for its members.

use axum::Json;
use axum::extract::State;
use mitosis_domain::account::Membership;
use mitosis_domain::permission::Action;
use mitosis_protocol::group::GroupInfo;

use crate::api::body::InPath;
use crate::api::members::permit;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{ApiError, Rejection, ResourceKind};

pub(super) fn routes() -> Routes {
    Routes::new().get("/groups/{group}", Access::Read, get, "Get a group")
}

/// Only Admins of the group get the list of members.
async fn get(
    State(app): State<App>,
    Caller(user): Caller,
    InPath(name): InPath<String>,
) -> Result<Json<GroupInfo>, ApiError> {
    let membership = app.store.membership(user.id, &name).await?;
    let id = permit(membership, &name, Action::View)?;
    let group =
        app.store.group(&name).await?.ok_or_else(|| Rejection::no_such(ResourceKind::Group, &name))?;
    let sees_members =
        matches!(membership, Membership::Member(_, role) if Action::ManageMembers.allowed_to(role));
    let users_in_group = match sees_members {
        true => Some(app.store.members(id).await?),
        false => None,
    };
    Ok(Json(GroupInfo {
        group_name: group.name,
        creator_username: group.creator,
        created_at: group.created_at,
        updated_at: group.updated_at,
        state: group.state,
        task_count: group.task_count,
        storage_quota: group.storage_quota,
        storage_used: group.storage_used,
        worker_count: group.worker_count,
        write_priority: group.write_priority,
        users_in_group,
    }))
}
