//! Removing a file: its record, then its object.

use mitosis_domain::ids::GroupId;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::Timestamp;
use mitosis_store::ops::By;
use mitosis_store::ops::artifacts::Removal;

use crate::api::user::artifacts::{not_permitted, too_young};
use crate::app::App;
use crate::error::{ApiError, Refusal, ResourceKind};

/// Whether the file was there and old enough. Its object is looked at again later: it may not go now, and a
/// link to it may still work.
pub(in crate::api) async fn remove(
    app: &App,
    by: By,
    group: GroupId,
    key: &str,
    untouched_since: Timestamp,
) -> Result<(), ApiError> {
    match app.store.remove_attachment(by, group, key, untouched_since).await? {
        Removal::Removed { object } => {
            Ok(app.discard(&ObjectKey::from_stored(ObjectClass::Attachments, object)).await?)
        }
        Removal::TooYoung => Err(too_young().into()),
        Removal::Denied => Err(not_permitted().into()),
        Removal::Unknown => Err(Refusal::no_such(ResourceKind::Attachment, key).into()),
    }
}
