//! Deletes an attachment: its record, then its object.

use mitosis_domain::ids::GroupId;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::Timestamp;
use mitosis_store::ops::Actor;
use mitosis_store::ops::artifacts::Removal;

use crate::api::user::artifacts::{not_permitted, recently_uploaded};
use crate::app::App;
use crate::error::{ApiError, Rejection, ResourceKind};

/// Deletes an attachment that exists and is old enough. The object is deleted again later, in case the deletion fails now
/// or a link to it is still valid.
pub(in crate::api) async fn remove(
    app: &App,
    actor: Actor,
    group: GroupId,
    key: &str,
    untouched_since: Timestamp,
) -> Result<(), ApiError> {
    match app.store.remove_attachment(actor, group, key, untouched_since).await? {
        Removal::Removed { object: Some(object) } => {
            Ok(app.discard(&ObjectKey::from_stored(ObjectClass::Attachments, object)).await?)
        }
        Removal::Removed { object: None } => Ok(()),
        Removal::TooYoung => Err(recently_uploaded().into()),
        Removal::Denied => Err(not_permitted().into()),
        Removal::Unknown => Err(Rejection::no_such(ResourceKind::Attachment, key).into()),
    }
}
