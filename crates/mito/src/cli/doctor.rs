//! `mito doctor`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::Options;

/// Options of `mito doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The address of the coordinator
    #[arg(short, long, value_name = "URL")]
    coordinator: Option<String>,
    /// The path of the config file
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// Where tokens are kept
    #[arg(long)]
    credential_path: Option<PathBuf>,
    /// The user whose token is used
    #[arg(short, long)]
    user: Option<String>,
    /// How much room the folders of mito should have, in megabytes
    #[arg(long, value_name = "MB", default_value_t = 1000)]
    pub(crate) min_free: u64,
    /// How the findings are written
    #[arg(short, long, value_enum, default_value_t = DoctorOutput::Text)]
    pub(crate) output: DoctorOutput,
}

/// How the findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DoctorOutput {
    /// A line for each, and one for what can be done
    Text,
    /// One JSON array
    Json,
}

impl DoctorArgs {
    pub(crate) fn options(&self) -> Options {
        Options::default()
            .text("coordinator_addr", self.coordinator.as_ref())
            .path("credential_path", self.credential_path.as_ref())
            .text("user", self.user.as_ref())
    }
}
