//! `mito client` and everything below (command line §4).

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use mitosis_protocol::task::{QueryTasksRequest, ResourceDownload, SubmitTaskRequest, TaskFilter};
use mitosis_protocol::{ArtifactKind, ExecState, TaskSpec, TaskState, Uuid};

use super::text;
use crate::config::Options;

/// Options of `mito client`; they come before the subcommand.
#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    /// The address of the coordinator
    #[arg(short, long, value_name = "URL")]
    coordinator: Option<String>,
    /// The path of the config file
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// Where tokens are kept
    #[arg(long)]
    credential_path: Option<PathBuf>,
    /// The user to log in as
    #[arg(short, long)]
    user: Option<String>,
    /// The user's password; better kept in the config file or in MITO_PASSWORD
    #[arg(short, long)]
    password: Option<String>,
    /// Leave the user's other sessions alone when logging in
    #[arg(long)]
    retain: bool,
    #[command(subcommand)]
    pub(crate) command: ClientCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Say who is logged in
    Auth,
    /// Log in and keep the token
    Login(LoginArgs),
    /// The own account
    #[command(subcommand)]
    Users(UsersCommand),
    /// Tasks and what they leave behind
    #[command(subcommand)]
    Tasks(TasksCommand),
}

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// Asked for when not given
    pub(crate) username: Option<String>,
    /// Asked for when not given, which keeps it out of the list of processes
    pub(crate) password: Option<String>,
    /// Leave the user's other sessions alone
    #[arg(long)]
    pub(crate) retain: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Set another password
    ChangePassword(ChangePasswordArgs),
    /// List the groups that one belongs to
    #[command(alias = "my-groups")]
    Groups,
}

#[derive(Debug, Args)]
pub(crate) struct ChangePasswordArgs {
    /// Asked for when not given
    pub(crate) orig_password: Option<String>,
    /// Asked for when not given
    pub(crate) new_password: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TasksCommand {
    /// Submit a task
    Submit(SubmitArgs),
    /// Show a task
    Get {
        /// The task
        uuid: Uuid,
    },
    /// Find tasks
    Query(QueryArgs),
    /// Cancel a task that waits
    Cancel {
        /// The task
        uuid: Uuid,
    },
    /// What tasks leave behind
    #[command(subcommand)]
    Artifacts(ArtifactsCommand),
}

/// Options of `mito client tasks submit` (command line §4.1).
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// The group to run it for; the user's own unless given
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    /// What the worker must have
    #[arg(short, long, num_args = 1.., value_delimiter = ',')]
    tags: Vec<String>,
    /// Words by which to find the task again
    #[arg(short, long, num_args = 1.., value_delimiter = ',')]
    labels: Vec<String>,
    /// How long the command may run
    #[arg(long, default_value = "10min", value_parser = text::duration)]
    timeout: Duration,
    /// Larger goes first
    #[arg(short, long, default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// Variables for the command; a value with a comma needs `mito run`
    #[arg(short, long, value_name = "NAME=VALUE", num_args = 1.., value_delimiter = ',', value_parser = text::variable)]
    envs: Vec<(String, String)>,
    /// Keep what it writes to standard output and standard error
    #[arg(long)]
    terminal: bool,
    /// Files to fetch first: artifact=UUID:TYPE:LOCAL_PATH or attachment=KEY:LOCAL_PATH
    #[arg(short, long, value_name = "FILE", num_args = 1.., value_delimiter = ',', value_parser = text::resource)]
    resources: Vec<ResourceDownload>,
    /// Wait on the worker until another task has come this far
    #[arg(long, value_name = "UUID,STATE", value_parser = text::watch)]
    watch: Option<(Uuid, ExecState)>,
    /// The command and its arguments; there is no shell
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

/// Options of `mito client tasks query` (command line §4.2).
#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// Submitted by one of these users
    #[arg(short, long, num_args = 1.., value_delimiter = ',')]
    creators: Vec<String>,
    /// Of this group; the user's own unless given
    #[arg(short, long)]
    group: Option<String>,
    /// With all of these tags
    #[arg(short, long, num_args = 1.., value_delimiter = ',')]
    tags: Vec<String>,
    /// With all of these labels
    #[arg(short, long, num_args = 1.., value_delimiter = ',')]
    labels: Vec<String>,
    /// In one of these states
    #[arg(short, long = "state", num_args = 1.., value_delimiter = ',')]
    state: Vec<StateArg>,
    /// Raw wait status, such as `256` or `!=0`
    #[arg(short, long)]
    exit_status: Option<String>,
    /// Priority, such as `>=5`
    #[arg(short, long)]
    priority: Option<String>,
    /// Committed by this worker
    #[arg(long)]
    reporter_uuid: Option<Uuid>,
    /// At most this many
    #[arg(long)]
    limit: Option<u64>,
    /// Leave out this many first
    #[arg(long)]
    offset: Option<u64>,
    /// Show everything about each
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Only say how many there are
    #[arg(long)]
    count: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum StateArg {
    Pending,
    Ready,
    Running,
    Finished,
    Cancelled,
    Unknown,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ArtifactsCommand {
    /// Download an archive of a task
    Download(DownloadArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DownloadArgs {
    /// The task
    pub(crate) uuid: Uuid,
    /// result, exec-log or std-log
    pub(crate) kind: ArtifactKind,
    /// A folder, or a file name; `TYPE.tar.gz` here unless given
    #[arg(short, long)]
    pub(crate) output: Option<PathBuf>,
    /// Only print the link
    #[arg(long)]
    pub(crate) no_download: bool,
}

impl ClientArgs {
    pub(crate) fn options(&self) -> Options {
        Options::default()
            .text("coordinator_addr", self.coordinator.as_ref())
            .path("credential_path", self.credential_path.as_ref())
            .text("user", self.user.as_ref())
            .text("password", self.password.as_ref())
            .flag("retain", self.retain)
    }
}

impl SubmitArgs {
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
                envs: self.envs.iter().cloned().collect(),
                resources: self.resources.clone(),
                terminal_output: self.terminal,
                watch: self.watch,
            },
        }
    }
}

impl QueryArgs {
    pub(crate) fn query(&self) -> QueryTasksRequest {
        let some = |words: &[String]| (!words.is_empty()).then(|| words.to_vec());
        QueryTasksRequest {
            filter: TaskFilter {
                creator_usernames: some(&self.creators),
                group_name: self.group.clone(),
                tags: some(&self.tags),
                labels: some(&self.labels),
                states: (!self.state.is_empty())
                    .then(|| self.state.iter().map(|state| (*state).into()).collect()),
                exit_status: self.exit_status.clone(),
                priority: self.priority.clone(),
            },
            reporter_uuid: self.reporter_uuid,
            limit: self.limit,
            offset: self.offset,
            count: self.count,
        }
    }
}

impl From<StateArg> for TaskState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Pending => Self::Pending,
            StateArg::Ready => Self::Ready,
            StateArg::Running => Self::Running,
            StateArg::Finished => Self::Finished,
            StateArg::Cancelled => Self::Cancelled,
            StateArg::Unknown => Self::Unknown,
        }
    }
}
