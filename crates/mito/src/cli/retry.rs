//! `mito retry`.

use clap::Args;

use super::connection::ConnectionArgs;
use super::select::SelectArgs;
use crate::show::OutputArgs;

/// Options of `mito retry`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito retry 12                    the failed, timed-out and cancelled tasks of a job
  mito retry 12/7 train/failed
  mito retry 12 --all              also the tasks that succeeded
  mito retry --failed -l exp1      failed tasks with this label, as new tasks
  mito retry label=exp1 exit=137   tasks killed by SIGKILL, such as by the OOM killer

Tasks of a job get another attempt, so its progress stays true. Tasks without a job are submitted again as new tasks.")]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Include tasks of jobs that succeeded
    #[arg(long, conflicts_with = "failed")]
    pub(crate) all: bool,
    /// Include tasks without a job that were retried before
    #[arg(long)]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    // Last: the heading of its options is that of all that follow.
    #[command(flatten)]
    pub(crate) select: SelectArgs,
}
