//! `mito run`.

use clap::Args;
use mitosis_protocol::task::SubmitTaskRequest;

use super::connection::ConnectionArgs;
use super::sweep::SweepArgs;
use super::task::TaskArgs;
use crate::show::OutputArgs;

/// Options of `mito run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Start a coordinator and a worker for just this command
    #[arg(long, conflicts_with_all = ["coordinator", "user", "group", "tags", "resources"])]
    pub(crate) local: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    task: TaskArgs,
    #[command(flatten)]
    pub(crate) sweep: SweepArgs,
    /// Write nothing but what the tasks write, and errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// The command and its arguments; there is no shell
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<String>,
}

impl RunArgs {
    /// The group to run it for, if one was given.
    pub(crate) fn group(&self) -> Option<&String> {
        self.task.group.as_ref()
    }

    /// How messages are written; there are no results but what tasks write.
    pub(crate) fn output(&self) -> OutputArgs {
        OutputArgs { quiet: self.quiet, ..OutputArgs::default() }
    }

    /// The task, for a group.
    pub(crate) fn task(&self, group: String) -> SubmitTaskRequest {
        self.task.task(group, &self.command, true)
    }
}
