//! The owner of a link. The link ends with the session or token, with the account and with the membership.

use http::StatusCode;
use mitosis_domain::object::{ObjectKey, Owner};
use mitosis_domain::permission::Action;
use mitosis_objects::{LinkError, Right, SignedAccess};

use super::ObjectRejection;
use crate::api::members;
use crate::app::App;
use crate::auth::revalidation::Authentication;
use crate::error::ApiError;

const REVOKED: &str =
    "this link is no longer valid because the permissions of its owner have changed; request a new link";

/// Rejects a link whose owner may no longer access the object. Links of workers and of `doctor` have no owner.
pub(super) async fn check(app: &App, access: &SignedAccess) -> Result<(), ObjectRejection> {
    let Some(owner) = &access.holder else { return Ok(()) };
    let authentication = Authentication::decode(owner).ok_or(LinkError::Invalid)?;
    check_permission(app, &authentication, access).await.map_err(|error| match error {
        ApiError::Rejected(_) => ObjectRejection::new(StatusCode::FORBIDDEN, REVOKED),
        error => error.into(),
    })
}

async fn check_permission(
    app: &App,
    authentication: &Authentication,
    access: &SignedAccess,
) -> Result<(), ApiError> {
    let user = authentication.revalidated_user(app).await?;
    // The later lookup reports that the object does not exist.
    let Some(group) = group_of(app, &access.key).await? else { return Ok(()) };
    let action = match access.right {
        Right::Download => Action::View,
        Right::Upload { .. } | Right::Replace { .. } => Action::ManageFiles,
    };
    members::require(app, &user, &group, action).await.map(drop)
}

/// The name of the group that an object belongs to.
async fn group_of(app: &App, key: &ObjectKey) -> Result<Option<String>, ApiError> {
    match key.owner() {
        None => Ok(None),
        Some(Owner::Group { name, .. }) => Ok(Some(name.to_owned())),
        Some(Owner::Task(task)) => Ok(app.store.task(task).await?.map(|task| task.group_name)),
    }
}
