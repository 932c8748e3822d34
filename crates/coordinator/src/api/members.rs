//! Checks of the permissions of a user in a group, for handlers.

use std::collections::HashMap;

use http::StatusCode;
use mitosis_domain::account::{Membership, User};
use mitosis_domain::ids::GroupId;
use mitosis_domain::permission::Action;
use mitosis_protocol::Role;

use crate::app::App;
use crate::error::{ApiError, Rejection, ResourceKind};

/// Returns the group if the user may perform the action there. Replies 404 for an unknown group, 403 for an outsider or
/// an insufficient role.
pub(crate) async fn require(
    app: &App,
    user: &User,
    group: &str,
    action: Action,
) -> Result<GroupId, ApiError> {
    let membership = app.store.membership(user.id, group).await?;
    Ok(permit(membership, group, action)?)
}

/// Like [`require`], for routes that reply 400 for outsiders and unknown groups.
pub(crate) async fn require_for_filter(
    app: &App,
    user: &User,
    group: &str,
    action: Action,
) -> Result<GroupId, ApiError> {
    Ok(role_for_filter(app, user, group, action).await?.0)
}

/// Like [`require_for_filter`], and also returns the role of the user.
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

/// The membership of the user in each of the groups.
pub(crate) async fn of_groups<'a>(
    app: &App,
    user: &User,
    groups: impl Iterator<Item = &'a String> + Send,
) -> Result<HashMap<String, Membership>, ApiError> {
    let mut memberships = HashMap::new();
    for group in groups {
        if !memberships.contains_key(group) {
            memberships.insert(group.clone(), app.store.membership(user.id, group).await?);
        }
    }
    Ok(memberships)
}

/// Decides whether a membership permits an action.
pub(crate) fn permit(membership: Membership, group: &str, action: Action) -> Result<GroupId, Rejection> {
    match membership {
        Membership::NoSuchGroup => Err(Rejection::no_such(ResourceKind::Group, group)),
        Membership::Outsider(_) => Err(not_in(group, StatusCode::FORBIDDEN)),
        Membership::Member(id, role) if action.allowed_to(role) => Ok(id),
        Membership::Member(_, role) => Err(Rejection::forbidden(format!(
            "this operation requires the role {:?} in the group `{group}`; yours is {role:?}",
            action.least_role()
        ))
        .hint("ask an Admin of the group")),
    }
}

/// The rejection of an outsider. It does not reveal whether the group exists.
pub(crate) fn not_in(group: &str, status: StatusCode) -> Rejection {
    Rejection::not_found_as(status, format!("there is no group `{group}`, or you are not a member"))
        .hint("`mito client users groups` lists your groups")
}
