//! `mito retry`.

use clap::Args;

use super::connection::ConnectionArgs;
use super::select::SelectArgs;
use crate::show::OutputArgs;

/// Options of `mito retry`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito retry --failed -l exp1      failed tasks with this label
  mito retry label=exp1 exit=137   tasks killed by SIGKILL, such as by the OOM killer
  mito retry last                  the newest task, even if it succeeded")]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Include tasks that were retried before
    #[arg(long)]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    // Last: the heading of its options is that of all that follow.
    #[command(flatten)]
    pub(crate) select: SelectArgs,
}
