//! What a task is given besides its command: options that `mito run` and `mito submit` share.

use std::time::Duration;

use clap::Args;
use mitosis_protocol::TaskSpec;
use mitosis_protocol::task::{ResourceDownload, SubmitTaskRequest};

use super::text;

#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// The group to run it for; the user's own unless given
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    /// What the worker must have
    #[arg(short, long, num_args = 0..=1, value_delimiter = ',')]
    tags: Vec<String>,
    /// Words by which to find the task again
    #[arg(short, long, num_args = 0..=1, value_delimiter = ',')]
    pub(crate) labels: Vec<String>,
    /// How long the command may run; `mito client tasks submit` gives it ten minutes
    #[arg(long, default_value = "24h", value_parser = text::duration)]
    timeout: Duration,
    #[command(flatten)]
    loss: LossArgs,
    /// Larger goes first
    #[arg(short, long, default_value_t = 0, allow_negative_numbers = true, value_parser = text::priority)]
    priority: i32,
    /// A variable for the command; repeat it for more
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = text::variable)]
    env: Vec<(String, String)>,
    /// A file to fetch first: artifact=UUID:TYPE:LOCAL_PATH or attachment=KEY:LOCAL_PATH
    #[arg(short, long, value_name = "FILE", value_parser = text::resource)]
    resources: Vec<ResourceDownload>,
}

/// What to do about a worker that is not heard of.
#[derive(Debug, Args)]
pub(crate) struct LossArgs {
    /// Run it elsewhere when its worker is not heard of for this long, not only after the limit of the worker; never
    /// before the worker counts as missed
    #[arg(long, value_name = "DURATION", value_parser = text::lost_after)]
    pub(crate) lost_after: Option<Duration>,
    /// It may run twice at once: run it elsewhere as soon as its worker counts as missed
    #[arg(long)]
    pub(crate) idempotent: bool,
}

impl TaskArgs {
    /// The task that runs a command for a group.
    pub(crate) fn task(&self, group: String, command: &[String], terminal_output: bool) -> SubmitTaskRequest {
        SubmitTaskRequest {
            group_name: group,
            tags: text::given(&self.tags),
            labels: text::given(&self.labels),
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
