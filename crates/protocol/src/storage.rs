//! Links to stored bytes (§13). URLs are absolute, opaque and short-lived.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where to `PUT` the bytes that were announced.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadReply {
    /// Whether an object was already registered under this name.
    #[serde(default)]
    pub exist: bool,
    /// Valid for 3600 s. The body must have exactly the announced length.
    pub url: String,
}

/// Where to `GET` the bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DownloadReply {
    /// Valid for at least 3600 s.
    pub url: String,
    /// Recorded size in bytes, an upper bound.
    pub size: i64,
}
