//! "May this user do this in this group?" as handlers ask it.

use http::StatusCode;
use mitosis_domain::account::{Membership, User};
use mitosis_domain::ids::GroupId;
use mitosis_domain::permission::Action;
use mitosis_protocol::Role;

use crate::app::App;
use crate::error::{ApiError, Refusal, ResourceKind};

/// The group, if the user may do this in it: 404 for an unknown group, 403 for an outsider or a role
/// that is too low.
pub(crate) async fn require(
    app: &App,
    user: &User,
    group: &str,
    action: Action,
) -> Result<GroupId, ApiError> {
    let membership = app.store.membership(user.id, group).await?;
    Ok(permit(membership, group, action)?)
}

/// The same for routes that answer 400 to outsiders and for unknown groups.
pub(crate) async fn require_for_filter(
    app: &App,
    user: &User,
    group: &str,
    action: Action,
) -> Result<GroupId, ApiError> {
    Ok(role_for_filter(app, user, group, action).await?.0)
}

/// The same, with the role that the user has.
pub(crate) async fn role_for_filter(
    app: &App,
    user: &User,
    group: &str,
    action: Action,
) -> Result<(GroupId, Role), ApiError> {
    match app.store.membership(user.id, group).await? {
        Membership::NoSuchGroup | Membership::Outsider(_) => {
            Err(not_in(group, StatusCode::BAD_REQUEST).into())
        }
        membership @ Membership::Member(_, role) => Ok((permit(membership, group, action)?, role)),
    }
}

/// The decision alone.
pub(crate) fn permit(membership: Membership, group: &str, action: Action) -> Result<GroupId, Refusal> {
    match membership {
        Membership::NoSuchGroup => Err(Refusal::no_such(ResourceKind::Group, group)),
        Membership::Outsider(_) => Err(not_in(group, StatusCode::FORBIDDEN)),
        Membership::Member(id, role) if action.allowed_to(role) => Ok(id),
        Membership::Member(_, role) => Err(Refusal::forbidden(format!(
            "this needs the role {:?} in the group `{group}`; yours is {role:?}",
            action.least_role()
        ))
        .hint("ask an Admin of the group")),
    }
}

/// For outsiders there is no such group.
pub(crate) fn not_in(group: &str, status: StatusCode) -> Refusal {
    Refusal::not_found_as(status, format!("there is no group `{group}`, or you are not in it"))
        .hint("`mito client users groups` lists yours")
}
