//! `mito retry`.

use clap::Args;

use super::connection::ConnectionArgs;
use super::select::SelectArgs;
use crate::show::OutputArgs;

/// Options of `mito retry`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito retry --failed -l exp1      what failed of the tasks with this label
  mito retry label=exp1 exit=137   what was killed for want of memory
  mito retry last                  this one, however it ended")]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Also what another task repeats already
    #[arg(long)]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    // Last: the heading of its options is that of all that follow.
    #[command(flatten)]
    pub(crate) select: SelectArgs,
}
