//! Whom a link was given to. It ends with the session or token, with the account and with the membership.

use http::StatusCode;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_domain::permission::Action;
use mitosis_objects::{LinkError, Right, SignedAccess};
use mitosis_protocol::Uuid;

use super::ObjectRefusal;
use crate::api::members;
use crate::app::App;
use crate::auth::standing::Standing;
use crate::error::ApiError;

const ENDED: &str =
    "this link has ended with the rights of the account that it was given to; ask for a new one";

/// Refuses a link of a user who would not get it any more. Links of workers and of the doctor have no holder.
pub(super) async fn check(app: &App, access: &SignedAccess) -> Result<(), ObjectRefusal> {
    let Some(holder) = &access.holder else { return Ok(()) };
    let standing = Standing::read(holder).ok_or(LinkError::Invalid)?;
    may(app, &standing, access).await.map_err(|error| match error {
        ApiError::Refused(_) => ObjectRefusal::new(StatusCode::FORBIDDEN, ENDED),
        error => error.into(),
    })
}

async fn may(app: &App, standing: &Standing, access: &SignedAccess) -> Result<(), ApiError> {
    let user = standing.user(app).await?;
    // What is gone is answered as such.
    let Some(group) = group_of(app, &access.key).await? else { return Ok(()) };
    let action = match access.right {
        Right::Download => Action::View,
        Right::Upload { .. } | Right::Replace { .. } => Action::ManageFiles,
    };
    members::require(app, &user, &group, action).await.map(drop)
}

/// The name of the group that an object belongs to.
async fn group_of(app: &App, key: &ObjectKey) -> Result<Option<String>, ApiError> {
    let Some((first, _)) = key.path().split_once('/') else { return Ok(None) };
    match key.class() {
        ObjectClass::Attachments => Ok(Some(first.to_owned())),
        ObjectClass::Artifacts => {
            let Ok(task) = Uuid::parse_str(first) else { return Ok(None) };
            Ok(app.store.task(task).await?.map(|task| task.group_name))
        }
    }
}
