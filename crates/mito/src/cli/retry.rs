//! `mito retry`.

use clap::Args;
use mitosis_protocol::Uuid;

use super::connection::ConnectionArgs;
use super::select::SelectArgs;

/// Options of `mito retry`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito retry --failed -l exp1      what failed of the tasks with this label
  mito retry UUID                  this one, however it ended")]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// Also what another task repeats already
    #[arg(long)]
    pub(crate) again: bool,
    /// These tasks
    #[arg(value_name = "UUID", value_delimiter = ',')]
    pub(crate) uuids: Vec<Uuid>,
}
