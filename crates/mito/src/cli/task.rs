//! Options of a task, shared by `mito run` and `mito submit`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use mitosis_protocol::TaskSpec;
use mitosis_protocol::task::{ResourceDownload, SubmitTaskRequest};

use super::value_parsers;

#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// Group of the task (default: the configured `group`, or your own)
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    /// Tags that the worker must have
    #[arg(short, long, num_args = 0..=1, value_delimiter = ',')]
    tags: Vec<String>,
    /// Labels to find the task by
    #[arg(short, long, num_args = 0..=1, value_delimiter = ',')]
    pub(crate) labels: Vec<String>,
    /// Time limit of the command
    #[arg(long, default_value = "24h", value_parser = value_parsers::duration)]
    timeout: Duration,
    #[command(flatten)]
    loss: LossArgs,
    /// Priority: higher runs first
    #[arg(short, long, default_value_t = 0, allow_negative_numbers = true, value_parser = value_parsers::priority)]
    priority: i32,
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// File to download first: artifact=UUID:TYPE:LOCAL_PATH or attachment=KEY:LOCAL_PATH
    #[arg(short, long, value_name = "FILE", value_parser = value_parsers::resource)]
    resources: Vec<ResourceDownload>,
}

/// When a task is requeued because its worker is silent.
#[derive(Debug, Args)]
pub(crate) struct LossArgs {
    /// Requeue the task when its worker has been silent for this long, but not before the worker counts as missed
    /// (default: the limit of the worker)
    #[arg(long, value_name = "DURATION", value_parser = value_parsers::lost_after)]
    pub(crate) lost_after: Option<Duration>,
    /// The task may run twice at the same time: requeue it as soon as its worker counts as missed
    #[arg(long)]
    pub(crate) idempotent: bool,
}

/// The environment variables of the command.
#[derive(Debug, Default, Args)]
pub(crate) struct VariableArgs {
    /// Environment variable of the command; repeat for more
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = value_parsers::variable)]
    pub(crate) env: Vec<(String, String)>,
    /// Variable of the current environment to pass to the command; repeat for more, or separate them by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = value_parsers::variable_name)]
    pub(crate) export: Vec<String>,
    /// File with a variable NAME=VALUE on each line; --export and --env override it. Repeat for more
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
}

/// Where the command starts, and its standard input.
#[derive(Debug, Default, Args)]
pub(crate) struct PlaceArgs {
    /// Start the command in this directory of the worker; without it, the task is cancelled (default: the current
    /// directory if the worker has it, otherwise a fresh one)
    #[arg(long, value_name = "DIR", overrides_with = "fresh_dir")]
    pub(crate) chdir: Option<PathBuf>,
    /// Start the command in a fresh directory
    #[arg(long, overrides_with = "chdir")]
    pub(crate) fresh_dir: bool,
    /// File to send to the command as its standard input; `-` sends that of this command
    #[arg(long, value_name = "FILE")]
    pub(crate) stdin: Option<PathBuf>,
}

impl TaskArgs {
    /// A task that keeps its output, still without what it runs, its directory, variables and input. The group is empty if
    /// there is no option for it.
    pub(crate) fn task(&self) -> SubmitTaskRequest {
        SubmitTaskRequest {
            group_name: self.group.clone().unwrap_or_default(),
            tags: value_parsers::non_empty(&self.tags),
            labels: value_parsers::non_empty(&self.labels),
            timeout: self.timeout,
            priority: self.priority,
            task_spec: TaskSpec {
                resources: self.resources.clone(),
                terminal_output: true,
                lost_after: self.loss.lost_after,
                idempotent: self.loss.idempotent,
                ..TaskSpec::default()
            },
        }
    }
}
