//! `mito client groups attachments`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mitosis_protocol::attachment::{AttachmentsByFilterRequest, QueryAttachmentsRequest};

use super::transfer::{BatchOptions, DownloadOptions};

#[derive(Debug, Subcommand)]
pub(crate) enum AttachmentsCommand {
    /// Upload a file
    Upload(UploadArgs),
    /// Download a file
    Download(DownloadArgs),
    /// Show the metadata of a file
    Get(PathArgs),
    /// Delete a file
    Delete(PathArgs),
    /// Query files
    Query(QueryArgs),
    /// Download matching files
    DownloadMany(DownloadManyArgs),
    /// Download the given files
    DownloadList(DownloadListArgs),
    /// Delete matching files, except those uploaded within the last hour
    DeleteMany(DeleteManyArgs),
    /// Delete the given files
    DeleteList(DeleteListArgs),
}

/// The key and the group of a file.
#[derive(Debug, Args)]
pub(crate) struct PathArgs {
    /// Key of the file within the group
    pub(crate) key: String,
    /// The group (default: your own)
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    /// Read the group from the key: `GROUP/KEY`
    #[arg(short, long)]
    pub(crate) smart: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UploadArgs {
    /// File to upload
    pub(crate) local_file: PathBuf,
    /// Key within the group, a directory if it ends with `/` (default: the file name)
    pub(crate) key: Option<String>,
    /// The group (default: your own)
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    /// Read the group from the key: `GROUP/KEY`, or just `GROUP`
    #[arg(short, long)]
    pub(crate) smart: bool,
    /// Show progress (default on a terminal)
    #[arg(long)]
    pb: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DownloadArgs {
    #[command(flatten)]
    pub(crate) place: PathArgs,
    #[command(flatten)]
    pub(crate) options: DownloadOptions,
}

/// The filter options of commands on many files.
#[derive(Debug, Default, Args)]
pub(crate) struct AttachmentFilter {
    /// The group (default: your own)
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    /// Only files whose keys contain this text
    #[arg(short, long)]
    key: Option<String>,
    /// Maximum number of results
    #[arg(long)]
    limit: Option<u64>,
    /// Number of results to skip
    #[arg(long)]
    offset: Option<u64>,
}

#[derive(Debug, Default, Args)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) filter: AttachmentFilter,
    /// Only print the count
    #[arg(long)]
    count: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DownloadManyArgs {
    #[command(flatten)]
    pub(crate) filter: AttachmentFilter,
    #[command(flatten)]
    pub(crate) options: BatchOptions,
}

#[derive(Debug, Args)]
pub(crate) struct DownloadListArgs {
    /// Keys of the files within the group
    #[arg(value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// The group (default: your own)
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    #[command(flatten)]
    pub(crate) options: BatchOptions,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteManyArgs {
    #[command(flatten)]
    pub(crate) filter: AttachmentFilter,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteListArgs {
    /// Keys of the files within the group
    #[arg(value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// The group (default: your own)
    #[arg(short, long)]
    pub(crate) group: Option<String>,
}

impl AttachmentFilter {
    pub(crate) fn request(&self) -> AttachmentsByFilterRequest {
        AttachmentsByFilterRequest { key: self.key.clone(), limit: self.limit, offset: self.offset }
    }
}

impl QueryArgs {
    pub(crate) fn query(&self) -> QueryAttachmentsRequest {
        let AttachmentsByFilterRequest { key, limit, offset } = self.filter.request();
        QueryAttachmentsRequest { key, limit, offset, count: self.count }
    }
}
