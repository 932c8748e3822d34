//! Commands that change jobs: `mito cancel`, `rm`, `pause`, `resume` and `priority`.

use clap::Args;
use mitosis_domain::selector::Selector;

use super::connection::ConnectionArgs;
use super::value_parsers;
use crate::show::OutputArgs;

/// Options of `mito cancel`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito cancel 12              waiting tasks are cancelled, running ones are stopped
  mito cancel 12/1-50
  mito cancel train/waiting   running tasks continue")]
pub(crate) struct CancelArgs {
    /// Jobs or tasks: 12, 12/7, 12/1-50, 12/waiting, a name, `last`, or the UUID of a task or its prefix
    #[arg(value_name = "SELECTOR", required = true, value_parser = value_parsers::job_tasks)]
    pub(crate) selectors: Vec<Selector>,
    /// Cancel jobs and tasks of other users without a question
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Options of commands on whole jobs.
#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    /// Jobs: numbers, names, or `last`
    #[arg(value_name = "JOB", required = true, value_parser = value_parsers::job_tasks)]
    pub(crate) selectors: Vec<Selector>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Options of `mito priority`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito priority 12 5
  mito priority train -1")]
pub(crate) struct PriorityArgs {
    /// Job: its number, its name, or `last`
    #[arg(value_name = "JOB", value_parser = value_parsers::job_tasks)]
    pub(crate) selector: Selector,
    /// Priority: higher runs first within the group
    #[arg(value_name = "N", allow_negative_numbers = true, value_parser = value_parsers::priority)]
    pub(crate) priority: i32,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
