//! `mito show`.

use clap::Args;
use mitosis_domain::selector::Selector;

use super::connection::ConnectionArgs;
use super::value_parsers;
use crate::show::OutputArgs;

/// Options of `mito show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito show 12                a job: its state and the reason, its progress, its command
  mito show 12/7              a task: why it waits or how it ended, its attempts and files
  mito show last")]
pub(crate) struct ShowArgs {
    /// Job or task: 12, 12/7, a name, `last`, or the UUID of a task or its prefix
    #[arg(value_name = "SELECTOR", value_parser = value_parsers::job_tasks)]
    pub(crate) selector: Selector,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
