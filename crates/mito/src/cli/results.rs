//! `mito results`.

use clap::Args;

use super::connection::ConnectionArgs;
use super::select::SelectArgs;
use crate::show::OutputArgs;

/// Options of `mito results`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito results -l exp1 -o csv > exp1.csv
  mito results label=exp1 'created>-2h' --failed
  mito results last                the newest task")]
pub(crate) struct ResultsArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Include tasks that were retried (default: only the latest retry of each)
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    // Last: the heading of its options is that of all that follow.
    #[command(flatten)]
    pub(crate) select: SelectArgs,
}
