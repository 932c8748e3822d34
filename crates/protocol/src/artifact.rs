//! Artifacts: the archives of a task's outputs (§10).

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Timestamp;
use crate::task::TaskFilter;

/// The kind of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum ArtifactKind {
    /// The content of `MITO_RESULT_DIR`.
    #[serde(rename = "result", alias = "Result", alias = "RESULT")]
    Result,
    /// The content of `MITO_EXEC_DIR`.
    #[serde(
        rename = "exec-log",
        alias = "exec",
        alias = "Exec",
        alias = "EXEC",
        alias = "execlog",
        alias = "Execlog",
        alias = "ExecLog",
        alias = "EXECLOG"
    )]
    ExecLog,
    /// Standard output and standard error.
    #[serde(
        rename = "std-log",
        alias = "std",
        alias = "Std",
        alias = "STD",
        alias = "stdlog",
        alias = "Stdlog",
        alias = "STDLOG",
        alias = "terminal",
        alias = "Terminal",
        alias = "TERMINAL"
    )]
    StdLog,
}

impl ArtifactKind {
    /// All kinds, in the order in which a worker uploads them.
    pub const ALL: [Self; 3] = [Self::Result, Self::ExecLog, Self::StdLog];

    /// The name in JSON and paths, and the stem of the file name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::ExecLog => "exec-log",
            Self::StdLog => "std-log",
        }
    }

    /// `result.tar.gz`, `exec-log.tar.gz` or `std-log.tar.gz`.
    pub fn file_name(self) -> String {
        format!("{self}.tar.gz")
    }
}

impl fmt::Display for ArtifactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for ArtifactKind {
    type Err = UnknownArtifactKind;

    /// Parses every spelling that JSON accepts.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let reader = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
        Self::deserialize(reader).map_err(|_| UnknownArtifactKind(text.to_owned()))
    }
}

/// A text that is not an artifact kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an artifact type; use result, exec-log or std-log")]
pub struct UnknownArtifactKind(String);

/// One stored archive of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactInfo {
    /// The kind of the archive.
    pub content_type: ArtifactKind,
    /// Recorded size in bytes.
    pub size: i64,
    /// When it was first uploaded.
    pub created_at: Timestamp,
    /// When it was last uploaded.
    pub updated_at: Timestamp,
}

/// `POST /tasks/{uuid}/artifacts`, and the `Upload` report of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadArtifactRequest {
    /// The kind of the archive.
    pub content_type: ArtifactKind,
    /// The exact size in bytes.
    pub content_length: u64,
}

/// `POST /tasks/download/artifacts` and `POST /tasks/delete/artifacts`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ArtifactsByFilterRequest {
    /// The tasks.
    #[serde(flatten)]
    pub filter: TaskFilter,
    /// Only tasks committed by this worker.
    #[serde(default)]
    pub reporter_uuid: Option<uuid::Uuid>,
    /// The kind of the archives.
    pub content_type: ArtifactKind,
}

/// `POST /tasks/download/artifacts/list` and `POST /tasks/delete/artifacts/list`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ArtifactsByListRequest {
    /// The tasks; at least one.
    pub uuids: Vec<uuid::Uuid>,
    /// The kind of the archives.
    pub content_type: ArtifactKind,
}

/// One item of [`ArtifactDownloadsReply`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactDownload {
    /// The task.
    pub uuid: uuid::Uuid,
    /// The link, valid for 86400 s.
    pub url: String,
    /// Recorded size in bytes.
    pub size: i64,
}

/// Reply to a batch download.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactDownloadsReply {
    /// The links; tasks without that archive are left out.
    pub downloads: Vec<ArtifactDownload>,
}

/// Reply to a deletion by filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletedArtifactsReply {
    /// How many archives were deleted.
    pub deleted_count: u64,
}

/// Reply to a deletion by list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletedArtifactsListReply {
    /// How many archives were deleted.
    pub deleted_count: u64,
    /// Tasks whose archive was unknown, too young, not allowed, or could not be removed.
    pub failed_uuids: Vec<uuid::Uuid>,
}
