//! `mito doctor`.

use std::path::PathBuf;

use clap::Args;

use crate::config::Options;
use crate::show::OutputArgs;

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
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

impl DoctorArgs {
    pub(crate) fn options(&self) -> Options {
        Options::default()
            .text("coordinator_addr", self.coordinator.as_ref())
            .path("credential_path", self.credential_path.as_ref())
            .text("user", self.user.as_ref())
    }
}
