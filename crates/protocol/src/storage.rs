//! Links to stored bytes (§13). URLs are absolute, opaque and short-lived.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The link for the announced upload.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadReply {
    /// Whether an object was already registered under this name.
    #[serde(default)]
    pub exist: bool,
    /// The link, valid for 3600 s. The body must have exactly the announced length.
    pub url: String,
}

/// The link for a download.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DownloadReply {
    /// The link, valid for at least 3600 s.
    pub url: String,
    /// Recorded size in bytes, an upper bound.
    pub size: i64,
}
