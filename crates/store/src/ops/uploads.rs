//! Bytes on their way to a record, and objects that no record needs any more.

use std::time::Duration;

use async_trait::async_trait;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::Timestamp;

use crate::StoreError;

/// The record that an object belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadTarget {
    /// Recorded and charged size in bytes; nothing larger may be stored.
    pub size: i64,
    /// What may still be uploaded.
    pub waits: Waits,
}

/// For what a record waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// For an attempt that is not committed.
    ForAttempt,
    /// For nothing of the attempt, which is committed; a user may replace it.
    Committed,
    /// For a user.
    ForUser,
}

/// Uploads and garbage.
#[async_trait]
pub trait Uploads {
    /// The record that an object belongs to, if there is one.
    async fn upload_target(&self, key: &ObjectKey) -> Result<Option<UploadTarget>, StoreError>;

    /// Uses up a link that works until `until`; false if it was used before.
    async fn use_link(&self, digest: &[u8; 32], until: Timestamp) -> Result<bool, StoreError>;

    /// Makes a link usable again: nothing was stored.
    async fn return_link(&self, digest: &[u8; 32]) -> Result<(), StoreError>;

    /// Notes an object whose record is gone.
    async fn discard_object(&self, key: &ObjectKey, now: Timestamp) -> Result<(), StoreError>;

    /// Up to `limit` objects that no record needs any more and whose turn has come: of attempts that were
    /// lost or replaced, and of records that were removed. The caller removes the objects, then calls
    /// [`Self::settle_garbage`] or [`Self::defer_garbage`].
    async fn garbage(&self, limit: u32, now: Timestamp) -> Result<Vec<ObjectKey>, StoreError>;

    /// Objects were removed. Those noted longer ago than `links` are forgotten; the others are due again
    /// when the last link to them has ended, which may have been used meanwhile. Forgets used links that
    /// have ended, too.
    async fn settle_garbage(
        &self,
        objects: &[ObjectKey],
        links: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Objects could not be removed, and are due again at `until`.
    async fn defer_garbage(&self, objects: &[ObjectKey], until: Timestamp) -> Result<(), StoreError>;
}

/// Before the path of an attachment. Paths of artifacts begin with a UUID.
const ATTACHMENTS: &str = "attachments:";

/// An object as it is noted.
pub(crate) fn noted(key: &ObjectKey) -> String {
    match key.class() {
        ObjectClass::Artifacts => key.path().to_owned(),
        ObjectClass::Attachments => format!("{ATTACHMENTS}{}", key.path()),
    }
}

/// An object from its note.
pub(crate) fn from_note(note: String) -> ObjectKey {
    match note.strip_prefix(ATTACHMENTS) {
        Some(path) => ObjectKey::from_stored(ObjectClass::Attachments, path.to_owned()),
        None => ObjectKey::from_stored(ObjectClass::Artifacts, note),
    }
}

/// What a record of an artifact waits for.
pub(crate) const fn artifact_waits(visible: bool, epoch: i64) -> Waits {
    match (visible, epoch) {
        (false, _) => Waits::ForAttempt,
        (true, 0) => Waits::ForUser,
        (true, _) => Waits::Committed,
    }
}
