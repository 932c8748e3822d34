//! Records of attachments.

use async_trait::async_trait;
use mitosis_domain::ids::GroupId;
use mitosis_protocol::Timestamp;

use crate::StoreError;
use crate::ops::By;
use crate::ops::artifacts::{Removal, Reservation};
use crate::ops::expected_uploads::NewLink;

/// A file that a group shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Name within the group.
    pub key: String,
    /// Recorded size in bytes.
    pub size: i64,
    /// First upload.
    pub created_at: Timestamp,
    /// Last upload.
    pub updated_at: Timestamp,
}

/// Which attachments of a group, in key order.
#[derive(Debug, Clone)]
pub struct AttachmentQuery {
    /// The group.
    pub group: GroupId,
    /// The key contains this, taken literally.
    pub key_contains: Option<String>,
}

/// Records of attachments.
#[async_trait]
pub trait Attachments {
    /// Announces an upload: the larger of the old and new sizes is recorded, and only growth is charged,
    /// in one conditional update, until no upload through a link can come any more.
    async fn reserve_attachment(
        &self,
        by: By,
        group: GroupId,
        key: &str,
        size: i64,
        link: Option<NewLink>,
        now: Timestamp,
    ) -> Result<Reservation, StoreError>;

    /// The attachment of that key.
    async fn attachment(&self, group: GroupId, key: &str) -> Result<Option<Attachment>, StoreError>;

    /// Attachments that match, in key order.
    async fn query_attachments(
        &self,
        query: &AttachmentQuery,
        offset: u64,
        limit: u64,
    ) -> Result<Vec<Attachment>, StoreError>;

    /// How many match.
    async fn count_attachments(&self, query: &AttachmentQuery) -> Result<u64, StoreError>;

    /// Removes the record of an attachment that was not touched since `untouched_since`. The object
    /// is noted as garbage at once; the caller removes it earlier.
    async fn remove_attachment(
        &self,
        by: By,
        group: GroupId,
        key: &str,
        untouched_since: Timestamp,
    ) -> Result<Removal, StoreError>;
}
