//! Records of attachments.

use async_trait::async_trait;
use mitosis_domain::ids::GroupId;
use mitosis_protocol::Timestamp;

use crate::StoreError;
use crate::ops::Actor;
use crate::ops::artifacts::{Removal, Reservation};
use crate::ops::expected_uploads::NewLink;

/// A file that a group shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The name within the group.
    pub key: String,
    /// The recorded size in bytes.
    pub size: i64,
    /// When it was first uploaded.
    pub created_at: Timestamp,
    /// When it was last uploaded.
    pub updated_at: Timestamp,
}

/// A query for attachments of a group.
#[derive(Debug, Clone)]
pub struct AttachmentQuery {
    /// The group.
    pub group: GroupId,
    /// A text that the key contains, compared literally.
    pub key_contains: Option<String>,
}

/// Operations on records of attachments.
#[async_trait]
pub trait Attachments {
    /// Reserves an upload. The larger of the old and new sizes is recorded, and only growth is charged, in one
    /// conditional update, until no more uploads are expected.
    async fn reserve_attachment(
        &self,
        actor: Actor,
        group: GroupId,
        key: &str,
        size: i64,
        link: Option<NewLink>,
        now: Timestamp,
    ) -> Result<Reservation, StoreError>;

    /// Reads the attachment with this key.
    async fn attachment(&self, group: GroupId, key: &str) -> Result<Option<Attachment>, StoreError>;

    /// Reads the matching attachments in the order of their keys.
    async fn query_attachments(
        &self,
        query: &AttachmentQuery,
        offset: u64,
        limit: u64,
    ) -> Result<Vec<Attachment>, StoreError>;

    /// Counts the matching attachments.
    async fn count_attachments(&self, query: &AttachmentQuery) -> Result<u64, StoreError>;

    /// Removes the record of an attachment that was not changed since `untouched_since`. The object is recorded
    /// as garbage at once; the caller usually deletes it before the garbage is collected.
    async fn remove_attachment(
        &self,
        actor: Actor,
        group: GroupId,
        key: &str,
        untouched_since: Timestamp,
    ) -> Result<Removal, StoreError>;
}
