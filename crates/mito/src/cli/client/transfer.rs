//! Options of everything that moves files.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

/// Options of a single download.
#[derive(Debug, Args)]
pub(crate) struct DownloadOptions {
    /// A folder, or a file name; a file here unless given
    #[arg(short, long)]
    pub(crate) output: Option<PathBuf>,
    /// Only print the link
    #[arg(long)]
    pub(crate) no_download: bool,
    /// Show how far it is
    #[arg(long)]
    pub(crate) pb: bool,
}

/// Options of a download of many files.
#[derive(Debug, Args)]
pub(crate) struct BatchOptions {
    /// The folder to put the files in
    #[arg(short, long, default_value = ".", hide_default_value = true)]
    pub(crate) output: PathBuf,
    /// Only print the links
    #[arg(long)]
    pub(crate) no_download: bool,
    /// Show how far it is
    #[arg(long)]
    pub(crate) pb: bool,
    /// How many to download at once
    #[arg(long, value_name = "N", default_value = "4")]
    pub(crate) concurrent: NonZeroUsize,
}
