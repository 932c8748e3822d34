//! Options of uploads and downloads.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use crate::show::Format;

/// Replaces the output format option of other commands, because `-o` is the target here. The value has the same place
/// in the parsed arguments.
#[derive(Debug, Args)]
struct LongFormat {
    /// Output format
    #[arg(long, value_enum, hide_possible_values = true, value_name = "table|json|jsonl|csv|yaml|id")]
    format: Option<Format>,
}

/// Options of a single download.
#[derive(Debug, Args)]
pub(crate) struct DownloadOptions {
    /// Target directory or file (default: the current directory)
    #[arg(short, long)]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    format: LongFormat,
    /// Only print the link
    #[arg(long)]
    pub(crate) no_download: bool,
    /// Show progress (default on a terminal)
    #[arg(long)]
    pb: bool,
}

/// Options of a download of many files.
#[derive(Debug, Args)]
pub(crate) struct BatchOptions {
    /// Target directory
    #[arg(short, long, default_value = ".", hide_default_value = true)]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    format: LongFormat,
    /// Only print the links
    #[arg(long)]
    pub(crate) no_download: bool,
    /// Show progress (default on a terminal)
    #[arg(long)]
    pb: bool,
    /// Number of parallel downloads
    #[arg(long, value_name = "N", default_value = "4")]
    pub(crate) concurrent: NonZeroUsize,
}
