//! Options of a task, shared by `mito run` and `mito submit`.

use std::time::Duration;

use clap::Args;
use mitosis_protocol::TaskSpec;
use mitosis_protocol::task::{ResourceDownload, SubmitTaskRequest};

use super::value_parsers;

#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// Group of the task (default: your own)
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
    /// Environment variable of the command; repeat for more
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = value_parsers::variable)]
    env: Vec<(String, String)>,
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

impl TaskArgs {
    /// The task that runs a command for a group.
    pub(crate) fn task(&self, group: String, command: &[String], terminal_output: bool) -> SubmitTaskRequest {
        SubmitTaskRequest {
            group_name: group,
            tags: value_parsers::non_empty(&self.tags),
            labels: value_parsers::non_empty(&self.labels),
            timeout: self.timeout,
            priority: self.priority,
            task_spec: TaskSpec {
                args: command.to_vec(),
                envs: self.env.iter().cloned().collect(),
                resources: self.resources.clone(),
                terminal_output,
                lost_after: self.loss.lost_after,
                idempotent: self.loss.idempotent,
                ..TaskSpec::default()
            },
        }
    }
}
