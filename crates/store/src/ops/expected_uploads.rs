//! Uploads by users that may still come, and what is stored once they can't.
//!
//! While an upload may come, the record of its object holds the largest size that was announced, so that nothing is
//! stored that is not charged. Once none may, the record is brought to the size of what is stored.

use async_trait::async_trait;
use mitosis_domain::object::ObjectKey;
use mitosis_protocol::Timestamp;

use crate::StoreError;

/// The link that an upload is announced for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewLink {
    /// Tells it from other links for the object.
    pub nonce: i64,
    /// When nothing can come through it any more.
    pub until: Timestamp,
    /// Whether it may go straight to the storage, which lets it store only where no object is.
    pub may_create: bool,
}

/// Uploads that have ended, in the order of their nonces, before somebody looks at what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Their nonces.
    pub nonces: Vec<i64>,
    /// Whether one of them may still create the object where there is none.
    pub may_appear: bool,
}

/// Uploads by users that may still come.
#[async_trait]
pub trait ExpectedUploads {
    /// Begins to take an upload through a link, which may go on until `until`; false if nothing expects it: it has
    /// come, or its record was removed.
    async fn begin_upload(
        &self,
        key: &ObjectKey,
        nonce: i64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Nothing comes through a link after `until`. The present says that it is used up.
    async fn end_upload(&self, key: &ObjectKey, nonce: i64, until: Timestamp) -> Result<(), StoreError>;

    /// Has an object looked at after `until`: what is stored is not what was announced.
    async fn look_at_object(&self, key: &ObjectKey, until: Timestamp) -> Result<(), StoreError>;

    /// Up to `limit` objects of which an upload has ended and none is expected any more.
    async fn ended_uploads(&self, limit: u32, now: Timestamp) -> Result<Vec<ObjectKey>, StoreError>;

    /// The uploads of an object, if none of them can change what is stored any more.
    async fn ended_uploads_of(&self, key: &ObjectKey, now: Timestamp) -> Result<Option<Ended>, StoreError>;

    /// Brings the record of an object to the size of what is stored, and its group's charge with it. Does nothing if
    /// there are other uploads than those that had ended before somebody looked.
    async fn settle_size(
        &self,
        key: &ObjectKey,
        ended: &Ended,
        stored: i64,
        now: Timestamp,
    ) -> Result<(), StoreError>;
}

/// What the uploads of an object allow.
pub(crate) fn ended(uploads: Vec<(i64, bool, i64)>, now: Timestamp) -> Option<Ended> {
    let (mut nonces, mut may_appear) = (Vec::new(), false);
    for (nonce, creates, until) in uploads {
        let may_come = until > now.unix_micros();
        if may_come && !creates {
            return None;
        }
        may_appear |= may_come;
        nonces.push(nonce);
    }
    (!nonces.is_empty()).then_some(Ended { nonces, may_appear })
}
