//! `mito doctor`.

use clap::Args;

use super::connection::ConnectionArgs;
use crate::show::OutputArgs;

/// Options of `mito doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito doctor
  mito doctor -c http://coordinator:5000 -u ann -o json")]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Required free disk space, in megabytes
    #[arg(long, value_name = "MB", default_value_t = 1000)]
    pub(crate) min_free: u64,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
