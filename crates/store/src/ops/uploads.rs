//! Uploads to records, and objects that no record needs any more.

use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::{Epoch, Timestamp};

use crate::StoreError;

/// The record that an object belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadTarget {
    /// The recorded and charged size in bytes; nothing larger may be stored.
    pub size: i64,
    /// The upload that the record awaits.
    pub awaits: AwaitedUpload,
}

/// An upload that a record awaits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwaitedUpload {
    /// The upload of an attempt that is not committed.
    OfAttempt,
    /// None, since the attempt is committed; a user may replace the archive.
    None,
    /// The upload of a user.
    OfUser,
}

/// Operations on uploads and garbage.
#[async_trait]
pub trait Uploads {
    /// Reads the record that an object belongs to, if there is one.
    async fn upload_target(&self, key: &ObjectKey) -> Result<Option<UploadTarget>, StoreError>;

    /// Marks a link that expires at `until` as used; returns false if it was used before.
    async fn use_link(&self, digest: &[u8; 32], until: Timestamp) -> Result<bool, StoreError>;

    /// Makes a link usable again, since nothing was stored.
    async fn return_link(&self, digest: &[u8; 32]) -> Result<(), StoreError>;

    /// Records an object as garbage.
    async fn discard_object(&self, key: &ObjectKey, now: Timestamp) -> Result<(), StoreError>;

    /// Reads up to `limit` objects that are due for deletion: those of lost or replaced attempts, and of
    /// removed records. The caller deletes the objects, then calls [`Self::settle_garbage`] or
    /// [`Self::defer_garbage`].
    async fn garbage(&self, limit: u32, now: Timestamp) -> Result<Vec<ObjectKey>, StoreError>;

    /// Records that objects were deleted. Objects that became garbage longer than `links` ago are done. The
    /// others are due again after the last link to them has expired, which may have been used in the meantime.
    /// It also deletes used links that have expired.
    async fn settle_garbage(
        &self,
        objects: &[ObjectKey],
        links: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Defers the deletion of objects that could not be deleted to `until`.
    async fn defer_garbage(&self, objects: &[ObjectKey], until: Timestamp) -> Result<(), StoreError>;
}

/// The prefix of the paths of attachments. Paths of artifacts begin with a UUID.
const ATTACHMENTS: &str = "attachments:";

/// The stored form of an object key.
pub(crate) fn to_stored(key: &ObjectKey) -> String {
    match key.class() {
        ObjectClass::Artifacts => key.path().to_owned(),
        ObjectClass::Attachments => format!("{ATTACHMENTS}{}", key.path()),
    }
}

/// Converts the stored form to an object key.
pub(crate) fn from_stored(note: String) -> ObjectKey {
    match note.strip_prefix(ATTACHMENTS) {
        Some(path) => ObjectKey::from_stored(ObjectClass::Attachments, path.to_owned()),
        None => ObjectKey::from_stored(ObjectClass::Artifacts, note),
    }
}

/// The upload that a record of an artifact awaits.
pub(crate) const fn awaited_upload(visible: bool, epoch: Epoch) -> AwaitedUpload {
    match (visible, epoch) {
        (false, _) => AwaitedUpload::OfAttempt,
        (true, Epoch::ZERO) => AwaitedUpload::OfUser,
        (true, _) => AwaitedUpload::None,
    }
}
