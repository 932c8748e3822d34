//! `mito run`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use mitosis_protocol::TaskSpec;
use mitosis_protocol::task::{ResourceDownload, SubmitTaskRequest};

use super::text;
use crate::config::Options;

/// Options of `mito run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Start a coordinator and a worker for just this command
    #[arg(long, conflicts_with_all = ["coordinator", "user", "group", "tags", "resources"])]
    pub(crate) local: bool,
    /// The address of the coordinator
    #[arg(short, long, value_name = "URL")]
    coordinator: Option<String>,
    /// The user to log in as
    #[arg(short, long)]
    user: Option<String>,
    /// Where tokens are kept
    #[arg(long)]
    credential_path: Option<PathBuf>,
    /// The path of the config file
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// The group to run it for; the user's own unless given
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    /// What the worker must have
    #[arg(short, long, value_delimiter = ',')]
    tags: Vec<String>,
    /// Words by which to find the task again
    #[arg(short, long, value_delimiter = ',')]
    labels: Vec<String>,
    /// How long the command may run
    #[arg(long, default_value = "24h", value_parser = text::duration)]
    timeout: Duration,
    /// Larger goes first
    #[arg(short, long, default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// A variable for the command; repeat it for more
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = text::variable)]
    env: Vec<(String, String)>,
    /// A file to fetch first: artifact=UUID:TYPE:LOCAL_PATH or attachment=KEY:LOCAL_PATH
    #[arg(short, long, value_name = "FILE", value_parser = text::resource)]
    resources: Vec<ResourceDownload>,
    /// The command and its arguments; there is no shell
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<String>,
}

impl RunArgs {
    pub(crate) fn options(&self) -> Options {
        Options::default()
            .text("coordinator_addr", self.coordinator.as_ref())
            .text("user", self.user.as_ref())
            .path("credential_path", self.credential_path.as_ref())
    }

    /// The task, for a group.
    pub(crate) fn task(&self, group: String) -> SubmitTaskRequest {
        SubmitTaskRequest {
            group_name: group,
            tags: self.tags.clone(),
            labels: self.labels.clone(),
            timeout: self.timeout,
            priority: self.priority,
            task_spec: TaskSpec {
                args: self.command.clone(),
                envs: self.env.iter().cloned().collect(),
                resources: self.resources.clone(),
                terminal_output: true,
                watch: None,
            },
        }
    }
}
