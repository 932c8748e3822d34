//! Attachments: files that a group shares with its tasks (§8).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Timestamp;

/// `POST /groups/{group}/attachments`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UploadAttachmentRequest {
    /// The name within the group; it may contain `/`.
    pub key: String,
    /// The exact size in bytes.
    pub content_length: u64,
}

/// A constant in place of a media type.
///
/// The 0.6.8 Rust client requires `NoSet`; the 0.6.8 Python SDK requires `NotSet`. The coordinator writes
/// `NoSet` unless the caller is that SDK (§15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum AttachmentContentType {
    /// No media type is recorded.
    NoSet,
    /// No media type, in the spelling of the 0.6.8 Python SDK.
    NotSet,
}

/// `GET /groups/{group}/attachments/{key}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttachmentInfo {
    /// A constant.
    pub content_type: AttachmentContentType,
    /// Recorded size in bytes.
    pub size: i64,
    /// When it was first uploaded.
    pub created_at: Timestamp,
    /// When it was last uploaded.
    pub updated_at: Timestamp,
}

/// `POST /groups/{group}/attachments/query`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct QueryAttachmentsRequest {
    /// A literal substring of the key.
    #[serde(default)]
    pub key: Option<String>,
    /// Most rows to return.
    #[serde(default)]
    pub limit: Option<u64>,
    /// How many rows to skip.
    #[serde(default)]
    pub offset: Option<u64>,
    /// Whether to return only the count.
    pub count: bool,
}

/// One row of [`QueryAttachmentsReply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttachmentRow {
    /// The name within the group.
    pub key: String,
    /// Size and times.
    #[serde(flatten)]
    pub info: AttachmentInfo,
}

/// Reply to a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryAttachmentsReply {
    /// The number of rows in this reply, or of all matches with `count`.
    pub count: u64,
    /// The rows; empty with `count`.
    pub attachments: Vec<AttachmentRow>,
    /// The name of the group.
    pub group_name: String,
}

/// `POST /groups/{group}/download/attachments` and `…/delete/attachments`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AttachmentsByFilterRequest {
    /// A literal substring of the key.
    #[serde(default)]
    pub key: Option<String>,
    /// Most rows to process.
    #[serde(default)]
    pub limit: Option<u64>,
    /// How many rows to skip.
    #[serde(default)]
    pub offset: Option<u64>,
}

/// `POST /groups/{group}/download/attachments/list` and `…/delete/attachments/list`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AttachmentsByListRequest {
    /// The keys; at least one.
    pub keys: Vec<String>,
}

/// One item of [`AttachmentDownloadsReply`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttachmentDownload {
    /// The name within the group.
    pub key: String,
    /// The link, valid for 86400 s.
    pub url: String,
    /// Recorded size in bytes.
    pub size: i64,
}

/// Reply to a batch download.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttachmentDownloadsReply {
    /// The links; unknown keys are left out.
    pub downloads: Vec<AttachmentDownload>,
    /// The name of the group.
    pub group_name: String,
}

/// Reply to a deletion by filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletedAttachmentsReply {
    /// How many attachments were deleted.
    pub deleted_count: u64,
    /// The name of the group.
    pub group_name: String,
}

/// Reply to a deletion by list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletedAttachmentsListReply {
    /// How many attachments were deleted.
    pub deleted_count: u64,
    /// Keys that were unknown, too young, or could not be removed.
    pub failed_keys: Vec<String>,
    /// The name of the group.
    pub group_name: String,
}
