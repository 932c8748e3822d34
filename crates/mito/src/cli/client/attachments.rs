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
    /// Show what is known about a file
    Get(PathArgs),
    /// Delete a file
    Delete(PathArgs),
    /// Find files
    Query(QueryArgs),
    /// Download the files that match
    DownloadMany(DownloadManyArgs),
    /// Download these files
    DownloadList(DownloadListArgs),
    /// Delete the files that match, those of the last hour excepted
    DeleteMany(DeleteManyArgs),
    /// Delete these files
    DeleteList(DeleteListArgs),
}

/// Which file of which group.
#[derive(Debug, Args)]
pub(crate) struct PathArgs {
    /// The name of the file within the group
    pub(crate) key: String,
    /// The group; the user's own unless given
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    /// The key starts with the group: `GROUP/KEY`
    #[arg(short, long)]
    pub(crate) smart: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UploadArgs {
    /// What to upload
    pub(crate) local_file: PathBuf,
    /// Its name within the group; a folder when it ends with `/`; the file's own name unless given
    pub(crate) key: Option<String>,
    /// The group; the user's own unless given
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    /// The key starts with the group, or is the group
    #[arg(short, long)]
    pub(crate) smart: bool,
    /// Show how far it is, which a terminal does by itself
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

/// Which files of a group.
#[derive(Debug, Args)]
pub(crate) struct AttachmentFilter {
    /// The group; the user's own unless given
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    /// With this in their names
    #[arg(short, long)]
    key: Option<String>,
    /// At most this many
    #[arg(long)]
    limit: Option<u64>,
    /// Leave out this many first
    #[arg(long)]
    offset: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) filter: AttachmentFilter,
    /// Only say how many there are
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
    /// The names of the files within the group
    #[arg(value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// The group; the user's own unless given
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
    /// The names of the files within the group
    #[arg(value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// The group; the user's own unless given
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
