//! `mito wait`.

use std::time::Duration;

use clap::Args;
use mitosis_domain::selector::Selector;

use super::connection::ConnectionArgs;
use super::notify::NotifyCommandArgs;
use super::value_parsers;
use crate::show::OutputArgs;

/// Options of `mito wait`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito wait 12
  mito wait train test --fail-fast
  mito wait last --timeout 2h
  mito wait 12 --notify-command 'notify-send $MITO_STATE'

The exit code is 0 if all tasks succeeded, 123 if some did not, and that of the command for a single task.")]
pub(crate) struct WaitArgs {
    /// Jobs or tasks: 12, 12/7, 12/1-50, a name, `last`, or the UUID of a task or its prefix
    #[arg(value_name = "SELECTOR", required = true, value_parser = value_parsers::job_tasks)]
    pub(crate) selectors: Vec<Selector>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Stop waiting after this time, and exit with 124; the tasks continue
    #[arg(long, value_parser = value_parsers::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Stop waiting at the first failure
    #[arg(long)]
    pub(crate) fail_fast: bool,
    #[command(flatten)]
    pub(crate) notify_command: NotifyCommandArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
