//! `mito results`.

use clap::Args;

use super::connection::ConnectionArgs;
use super::select::SelectArgs;
use crate::show::OutputArgs;

/// Options of `mito results`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito results 12 -o csv > job12.csv
  mito results last/failed
  mito results label=exp1 'created>-2h' --failed")]
pub(crate) struct ResultsArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Include tasks that were retried (default: only the latest retry of each)
    #[arg(long)]
    pub(crate) all: bool,
    /// Add what each command used: processor time, the most memory at once, and bytes of output
    #[arg(long)]
    pub(crate) usage: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    // Last: the heading of its options is that of all that follow.
    #[command(flatten)]
    pub(crate) select: SelectArgs,
}
