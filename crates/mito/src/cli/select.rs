//! Which tasks: arguments that `mito retry` and `mito results` share.

use clap::Args;

use super::client::filter::FilterOptions;
use super::value_parsers;

// Tasks by name and by what is true of them, as for `mito client tasks wait`, and the options of `mito client
// tasks query`. Names may follow the options here, so an option takes one word; and `-c` is the coordinator.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Which tasks",
    mut_arg("creators", |arg| arg.short(None::<char>).num_args(1)),
    mut_arg("labels", |arg| arg.num_args(1)),
    mut_arg("tags", |arg| arg.num_args(1)),
    mut_arg("state", |arg| arg.num_args(1))
)]
pub(crate) struct SelectArgs {
    /// Jobs or tasks (12, 12/7, 12/failed, a name, `last`, UUID or its prefix, GROUP-NUMBER) or conditions (label=exp1,
    /// exit!=0, 'created>-2h')
    #[arg(value_name = "SELECTOR", value_parser = value_parsers::job_tasks_or_condition)]
    pub(crate) selectors: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: FilterOptions,
    /// Only tasks that failed: non-zero exit code, timed out, or not started (excludes tasks that a user cancelled)
    #[arg(long)]
    pub(crate) failed: bool,
}
