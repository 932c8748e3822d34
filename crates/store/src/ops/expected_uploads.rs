//! Expected uploads by users, and the sizes of stored objects once no more uploads are expected.
//!
//! While an upload is expected, the record of its object has the largest announced size, so that everything
//! stored is charged. After that, the record gets the size of the stored object.

use async_trait::async_trait;
use mitosis_domain::object::ObjectKey;
use mitosis_protocol::Timestamp;

use crate::StoreError;

/// A new link for an expected upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewLink {
    /// A number that distinguishes links for the same object.
    pub nonce: i64,
    /// When the link expires.
    pub until: Timestamp,
    /// Whether it may lead directly to the object store, where it can only create a new object.
    pub may_create: bool,
}

/// The ended uploads of an object, in the order of their nonces, before its size is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedUploads {
    /// The nonces of the uploads.
    pub nonces: Vec<i64>,
    /// Whether one of them may still create the object if it doesn't exist.
    pub may_appear: bool,
}

/// Operations on expected uploads by users.
#[async_trait]
pub trait ExpectedUploads {
    /// Begins an upload through a link, which may take until `until`. Returns false if it is not expected: it
    /// has already arrived, or its record was removed.
    async fn begin_upload(
        &self,
        key: &ObjectKey,
        nonce: i64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Sets the end of an upload through a link. With the present, the link can't be used any more.
    async fn end_upload(&self, key: &ObjectKey, nonce: i64, until: Timestamp) -> Result<(), StoreError>;

    /// Schedules a check of the object's size after `until`, since the stored object is not the announced one.
    async fn recheck_object(&self, key: &ObjectKey, until: Timestamp) -> Result<(), StoreError>;

    /// Reads up to `limit` objects with ended uploads and without expected ones.
    async fn ended_uploads(&self, limit: u32, now: Timestamp) -> Result<Vec<ObjectKey>, StoreError>;

    /// Reads the uploads of an object, if none of them can change the stored object any more.
    async fn ended_uploads_of(
        &self,
        key: &ObjectKey,
        now: Timestamp,
    ) -> Result<Option<EndedUploads>, StoreError>;

    /// Sets the record of an object and the charge of its group to the size of the stored object. Does nothing
    /// if there are other uploads than those that had ended before the size was read.
    async fn settle_size(
        &self,
        key: &ObjectKey,
        ended: &EndedUploads,
        stored: i64,
        now: Timestamp,
    ) -> Result<(), StoreError>;
}

/// Returns the uploads of an object if none of them can change the stored object any more.
pub(crate) fn ended(uploads: Vec<(i64, bool, i64)>, now: Timestamp) -> Option<EndedUploads> {
    let (mut nonces, mut may_appear) = (Vec::new(), false);
    for (nonce, creates, until) in uploads {
        let may_come = until > now.unix_micros();
        if may_come && !creates {
            return None;
        }
        may_appear |= may_come;
        nonces.push(nonce);
    }
    (!nonces.is_empty()).then_some(EndedUploads { nonces, may_appear })
}
