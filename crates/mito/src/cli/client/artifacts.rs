//! `mito client tasks artifacts`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mitosis_protocol::artifact::{ArtifactsByFilterRequest, ArtifactsByListRequest};
use mitosis_protocol::{ArtifactKind, Uuid};

use super::filter::FilterArgs;
use super::transfer::{BatchOptions, DownloadOptions};
use crate::cli::value_parsers;

#[derive(Debug, Subcommand)]
pub(crate) enum ArtifactsCommand {
    /// Upload an artifact of a task
    Upload(UploadArgs),
    /// Download an artifact of a task
    Download(DownloadArgs),
    /// Delete an artifact of a task
    Delete {
        /// Task: UUID or its prefix, GROUP-NUMBER, or `last`
        #[arg(value_name = "TASK", value_parser = value_parsers::task)]
        task: String,
        /// Artifact type: `result` (files of $MITO_RESULT_DIR), `std-log` (stdout and stderr), or `exec-log` (files of
        /// $MITO_EXEC_DIR)
        #[arg(value_name = "TYPE")]
        kind: ArtifactKind,
    },
    /// Download an artifact of each matching task
    DownloadMany(DownloadManyArgs),
    /// Download an artifact of each of the given tasks
    DownloadList(DownloadListArgs),
    /// Delete an artifact of each matching task, except those uploaded within the last hour
    DeleteMany(ManyArgs),
    /// Delete an artifact of each of the given tasks
    DeleteList(ListArgs),
}

#[derive(Debug, Args)]
pub(crate) struct UploadArgs {
    /// File to upload
    pub(crate) local_file: PathBuf,
    /// Task: UUID or its prefix, GROUP-NUMBER, or `last`
    #[arg(value_name = "TASK", value_parser = value_parsers::task)]
    pub(crate) task: String,
    /// Artifact type: `result` (files of $MITO_RESULT_DIR), `std-log` (stdout and stderr), or `exec-log` (files of
    /// $MITO_EXEC_DIR)
    #[arg(value_name = "TYPE")]
    pub(crate) kind: ArtifactKind,
    /// Show progress (default on a terminal)
    #[arg(long)]
    pb: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DownloadArgs {
    /// Task: UUID or its prefix, GROUP-NUMBER, or `last`
    #[arg(value_name = "TASK", value_parser = value_parsers::task)]
    pub(crate) task: String,
    /// Artifact type: `result` (files of $MITO_RESULT_DIR), `std-log` (stdout and stderr), or `exec-log` (files of
    /// $MITO_EXEC_DIR)
    #[arg(value_name = "TYPE")]
    pub(crate) kind: ArtifactKind,
    #[command(flatten)]
    pub(crate) options: DownloadOptions,
}

/// The artifacts of tasks selected by a filter.
#[derive(Debug, Args)]
pub(crate) struct ManyArgs {
    /// Artifact type: `result` (files of $MITO_RESULT_DIR), `std-log` (stdout and stderr), or `exec-log` (files of
    /// $MITO_EXEC_DIR)
    #[arg(value_name = "TYPE")]
    kind: ArtifactKind,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Only tasks reported by this worker
    #[arg(long, value_name = "UUID", value_parser = value_parsers::worker)]
    reporter_uuid: Option<Uuid>,
}

/// The artifacts of tasks selected by name.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Artifact type: `result` (files of $MITO_RESULT_DIR), `std-log` (stdout and stderr), or `exec-log` (files of
    /// $MITO_EXEC_DIR)
    #[arg(value_name = "TYPE")]
    kind: ArtifactKind,
    /// Tasks: UUIDs or their prefixes, GROUP-NUMBER, or `last`
    #[arg(value_name = "TASK", value_delimiter = ',', value_parser = value_parsers::task)]
    pub(crate) tasks: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mito client tasks artifacts download-many result -l exp1 -o results
  mito client tasks artifacts download-many result -l exp1 -o results --extract")]
pub(crate) struct DownloadManyArgs {
    #[command(flatten)]
    pub(crate) which: ManyArgs,
    #[command(flatten)]
    pub(crate) options: BatchOptions,
    /// Extract each archive into a new folder, named by the parameters of its task (lr=0.1,seed=3) or by GROUP-NUMBER
    #[arg(long, conflicts_with = "no_download")]
    pub(crate) extract: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DownloadListArgs {
    #[command(flatten)]
    pub(crate) which: ListArgs,
    #[command(flatten)]
    pub(crate) options: BatchOptions,
    /// Extract each archive into a new folder, named by the parameters of its task (lr=0.1,seed=3) or by GROUP-NUMBER
    #[arg(long, conflicts_with = "no_download")]
    pub(crate) extract: bool,
}

impl ManyArgs {
    pub(crate) const fn content_type(&self) -> ArtifactKind {
        self.kind
    }

    pub(crate) fn request(&self) -> ArtifactsByFilterRequest {
        ArtifactsByFilterRequest {
            filter: self.filter.filter(),
            reporter_uuid: self.reporter_uuid,
            content_type: self.kind,
        }
    }
}

impl ListArgs {
    /// For the tasks that were named.
    pub(crate) fn request(&self, uuids: Vec<Uuid>) -> ArtifactsByListRequest {
        ArtifactsByListRequest { uuids, content_type: self.kind }
    }
}
