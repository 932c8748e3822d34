//! Attachments: files that a group shares with its tasks (§8).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Timestamp;

/// `POST /groups/{group}/attachments`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UploadAttachmentRequest {
    /// Name within the group, may contain `/`.
    pub key: String,
    /// Exact number of bytes that will be sent.
    pub content_length: u64,
}

/// The constant that stands where a media type might.
///
/// The published Rust client insists on `NoSet`; the published Python SDK insists on `NotSet`. The
/// coordinator writes `NoSet` unless the caller is that SDK (§15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum AttachmentContentType {
    /// No media type is recorded.
    NoSet,
    /// The same, for the published Python SDK.
    NotSet,
}

/// `GET /groups/{group}/attachments/{key}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttachmentInfo {
    /// Constant.
    pub content_type: AttachmentContentType,
    /// Recorded size in bytes.
    pub size: i64,
    /// First upload.
    pub created_at: Timestamp,
    /// Last upload.
    pub updated_at: Timestamp,
}

/// `POST /groups/{group}/attachments/query`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct QueryAttachmentsRequest {
    /// Substring of the key, taken literally.
    #[serde(default)]
    pub key: Option<String>,
    /// Most rows to return.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Rows to skip.
    #[serde(default)]
    pub offset: Option<u64>,
    /// Only count.
    pub count: bool,
}

/// One row of [`QueryAttachmentsReply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttachmentRow {
    /// Name within the group.
    pub key: String,
    /// The rest.
    #[serde(flatten)]
    pub info: AttachmentInfo,
}

/// Reply to a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryAttachmentsReply {
    /// Rows in this reply, or all matches when only counting.
    pub count: u64,
    /// Empty when only counting.
    pub attachments: Vec<AttachmentRow>,
    /// The group asked about.
    pub group_name: String,
}

/// `POST /groups/{group}/download/attachments` and `…/delete/attachments`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AttachmentsByFilterRequest {
    /// Substring of the key, taken literally.
    #[serde(default)]
    pub key: Option<String>,
    /// Most rows to touch.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Rows to skip.
    #[serde(default)]
    pub offset: Option<u64>,
}

/// `POST /groups/{group}/download/attachments/list` and `…/delete/attachments/list`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AttachmentsByListRequest {
    /// At least one.
    pub keys: Vec<String>,
}

/// One item of [`AttachmentDownloadsReply`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttachmentDownload {
    /// Name within the group.
    pub key: String,
    /// Valid for 86400 s.
    pub url: String,
    /// Recorded size in bytes.
    pub size: i64,
}

/// Reply to a batch download.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttachmentDownloadsReply {
    /// Unknown keys are left out.
    pub downloads: Vec<AttachmentDownload>,
    /// The group asked about.
    pub group_name: String,
}

/// Reply to a deletion by filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletedAttachmentsReply {
    /// How many are gone.
    pub deleted_count: u64,
    /// The group asked about.
    pub group_name: String,
}

/// Reply to a deletion by list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletedAttachmentsListReply {
    /// How many are gone.
    pub deleted_count: u64,
    /// Keys that were unknown, too young, or could not be removed.
    pub failed_keys: Vec<String>,
    /// The group asked about.
    pub group_name: String,
}
