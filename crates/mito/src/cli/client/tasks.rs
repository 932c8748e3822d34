//! `mito client tasks`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use mitosis_protocol::task::{ChangeTaskRequest, QueryTasksRequest, ResourceDownload, SubmitTaskRequest};
use mitosis_protocol::{ExecState, TaskSpec, Uuid};

use super::artifacts::ArtifactsCommand;
pub(crate) use super::filter::FilterArgs;
use super::filter::some;
use crate::cli::logs::LogPartArgs;
use crate::cli::task::{LossArgs, StoppingArgs};
use crate::cli::value_parsers;

#[derive(Debug, Subcommand)]
pub(crate) enum TasksCommand {
    /// Submit a task
    Submit(SubmitArgs),
    /// Submit the tasks of a file
    SubmitMany {
        /// A JSON array of tasks, each in the form of `POST /tasks`; `-` reads standard input
        #[arg(short, long, value_name = "JSON")]
        file: PathBuf,
    },
    /// Show a task
    Get {
        /// Task: UUID or its prefix, GROUP-NUMBER, or `last`
        #[arg(value_name = "TASK", value_parser = value_parsers::task)]
        task: String,
    },
    /// Explain why a task is waiting, or how it ended
    Explain {
        /// Task: UUID or its prefix, GROUP-NUMBER, or `last`
        #[arg(value_name = "TASK", value_parser = value_parsers::task)]
        task: String,
    },
    /// Query tasks
    Query(QueryArgs),
    /// Cancel a waiting task
    Cancel {
        /// Task: UUID or its prefix, GROUP-NUMBER, or `last`
        #[arg(value_name = "TASK", value_parser = value_parsers::task)]
        task: String,
    },
    /// Stop a running task
    Stop {
        /// Task: UUID or its prefix, GROUP-NUMBER, or `last`
        #[arg(value_name = "TASK", value_parser = value_parsers::task)]
        task: String,
    },
    /// Cancel matching waiting tasks
    CancelMany(FilterArgs),
    /// Cancel the given waiting tasks
    CancelList {
        /// Tasks: UUIDs or their prefixes, GROUP-NUMBER, or `last`
        #[arg(value_name = "TASK", value_delimiter = ',', value_parser = value_parsers::task)]
        tasks: Vec<String>,
    },
    /// Replace the labels of a task
    UpdateLabels {
        /// Task: UUID or its prefix, GROUP-NUMBER, or `last`
        #[arg(value_name = "TASK", value_parser = value_parsers::task)]
        task: String,
        /// New labels; omit them to clear
        #[arg(value_name = "LABEL", value_delimiter = ',')]
        labels: Vec<String>,
    },
    /// Change a waiting task
    Change(ChangeArgs),
    /// Wait for tasks to end; for a single task, exit with its code
    Wait(WaitArgs),
    /// Show the states of tasks as they change
    Watch {
        /// Tasks or conditions, as for `wait` (default: all tasks of your groups)
        #[arg(value_name = "SELECTOR", value_parser = value_parsers::selector)]
        selectors: Vec<String>,
    },
    /// Show what tasks write: while they run, and after
    Logs(LogsArgs),
    /// Manage artifacts of tasks
    #[command(subcommand)]
    Artifacts(ArtifactsCommand),
}

/// Arguments of `logs`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mito client tasks logs last
  mito client tasks logs -f --tail 20 lab-17
  mito client tasks logs --since 10m --stderr lab-17 lab-18")]
pub(crate) struct LogsArgs {
    /// Tasks: UUIDs or their prefixes, GROUP-NUMBER, or `last`. With several, each line starts with its task
    #[arg(value_name = "TASK", required = true, value_parser = value_parsers::task)]
    pub(crate) tasks: Vec<String>,
    #[command(flatten)]
    pub(crate) part: LogPartArgs,
}

/// Settings of a command.
#[derive(Debug, Args)]
struct SpecArgs {
    /// Environment variables of the command; for a value with a comma, use `mito run`
    #[arg(short, long, value_name = "NAME=VALUE", num_args = 0.., value_delimiter = ',', value_parser = value_parsers::optional(value_parsers::variable))]
    envs: Vec<Option<(String, String)>>,
    /// Store standard output and standard error
    #[arg(long)]
    terminal: bool,
    #[command(flatten)]
    loss: LossArgs,
    #[command(flatten)]
    stop: StoppingArgs,
    /// Start only after task UUID has reached STATE: ExecSpawned (running), TaskCommitted (ended), …
    #[arg(long, value_name = "UUID,STATE", value_parser = value_parsers::watch)]
    watch: Option<(Uuid, ExecState)>,
    /// The command and its arguments, run without a shell
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

/// Options of `mito client tasks submit` (command line §4.1).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito client tasks submit --terminal -l exp1 -- make test
  mito client tasks submit -t gpu --timeout 2h -e SEED=4 --follow -- python3 train.py")]
pub(crate) struct SubmitArgs {
    /// Group of the task (default: your own)
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    /// Tags that the worker must have
    #[arg(short, long, num_args = 0.., value_delimiter = ',')]
    tags: Vec<String>,
    /// Labels to find the task by
    #[arg(short, long, num_args = 0.., value_delimiter = ',')]
    labels: Vec<String>,
    /// Time limit of the command
    #[arg(long, default_value = "10min", value_parser = value_parsers::duration)]
    timeout: Duration,
    /// Priority: higher runs first
    #[arg(short, long, default_value_t = 0, allow_negative_numbers = true, value_parser = value_parsers::priority)]
    priority: i32,
    /// Files to download first: artifact=UUID:TYPE:LOCAL_PATH or attachment=KEY:LOCAL_PATH
    #[arg(short, long, value_name = "FILE", num_args = 0.., value_delimiter = ',', value_parser = value_parsers::optional(value_parsers::resource))]
    resources: Vec<Option<ResourceDownload>>,
    /// Wait for the task to end, and exit with its code
    #[arg(long)]
    pub(crate) wait: bool,
    /// Print the output until the task ends, and exit with its code
    #[arg(long, conflicts_with = "wait")]
    pub(crate) follow: bool,
    /// Stop waiting after this time, and exit with 124; the task continues
    #[arg(long, value_parser = value_parsers::duration)]
    pub(crate) wait_timeout: Option<Duration>,
    #[command(flatten)]
    spec: SpecArgs,
}

/// Options of `mito client tasks wait`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito client tasks wait last
  mito client tasks wait label=exp1 --timeout 2h --fail-fast")]
pub(crate) struct WaitArgs {
    /// Tasks (UUID or its prefix, GROUP-NUMBER, `last`) or conditions (label=exp1, state!=finished)
    #[arg(value_name = "SELECTOR", required = true, value_parser = value_parsers::selector)]
    pub(crate) selectors: Vec<String>,
    /// Stop waiting after this time, and exit with 124
    #[arg(long, value_parser = value_parsers::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Stop waiting at the first failure
    #[arg(long)]
    pub(crate) fail_fast: bool,
}

/// Options of `mito client tasks change`.
#[derive(Debug, Args)]
#[command(after_help = "A new command replaces the old one and its settings, so --envs, --terminal, \
    --watch, --lost-after, --idempotent, --stop-signal and --stop-grace require a command.\n\n\
Examples:
  mito client tasks change ann-42 -t gpu -p 5
  mito client tasks change last --timeout 2h -- python3 train.py --seed 5")]
pub(crate) struct ChangeArgs {
    /// Task: UUID or its prefix, GROUP-NUMBER, or `last`
    #[arg(value_name = "TASK", value_parser = value_parsers::task)]
    pub(crate) task: String,
    /// Tags that the worker must have
    #[arg(short, long, num_args = 0.., value_delimiter = ',')]
    tags: Vec<String>,
    /// Time limit of the command
    #[arg(long, value_parser = value_parsers::duration)]
    timeout: Option<Duration>,
    /// Priority: higher runs first
    #[arg(short, long, allow_negative_numbers = true, value_parser = value_parsers::priority)]
    priority: Option<i32>,
    #[command(flatten)]
    spec: SpecArgs,
}

/// Options of `mito client tasks query` (command line §4.2).
#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Only tasks reported by this worker
    #[arg(long, value_name = "UUID", value_parser = value_parsers::worker)]
    reporter_uuid: Option<Uuid>,
    /// Maximum number of results
    #[arg(long)]
    limit: Option<u64>,
    /// Number of results to skip
    #[arg(long)]
    offset: Option<u64>,
    /// Show all details
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Only print the count
    #[arg(long)]
    count: bool,
}

impl SpecArgs {
    fn spec(&self, resources: &[ResourceDownload]) -> TaskSpec {
        TaskSpec {
            args: self.command.clone(),
            envs: self.envs.iter().flatten().cloned().collect(),
            resources: resources.to_vec(),
            terminal_output: self.terminal,
            watch: self.watch,
            lost_after: self.loss.lost_after,
            idempotent: self.loss.idempotent,
            stop_signal: self.stop.stop_signal,
            stop_grace: self.stop.stop_grace,
            ..TaskSpec::default()
        }
    }

    /// Whether a setting is given that has no effect without a command.
    fn is_lost(&self) -> bool {
        self.command.is_empty()
            && (self.terminal
                || self.watch.is_some()
                || self.loss.lost_after.is_some()
                || self.loss.idempotent
                || self.stop.stop_signal.is_some()
                || self.stop.stop_grace.is_some()
                || self.envs.iter().flatten().next().is_some())
    }
}

impl SubmitArgs {
    /// The task, for a group.
    pub(crate) fn task(&self, group: String) -> SubmitTaskRequest {
        let mut task_spec = self.spec.spec(&self.resources.iter().flatten().cloned().collect::<Vec<_>>());
        // Output that was not received live is read from the stored output at the end.
        task_spec.terminal_output |= self.follow;
        SubmitTaskRequest {
            group_name: group,
            tags: value_parsers::non_empty(&self.tags),
            labels: value_parsers::non_empty(&self.labels),
            timeout: self.timeout,
            priority: self.priority,
            task_spec,
        }
    }
}

impl ChangeArgs {
    pub(crate) fn change(&self) -> ChangeTaskRequest {
        ChangeTaskRequest {
            tags: some(value_parsers::non_empty(&self.tags)),
            timeout: self.timeout,
            priority: self.priority,
            task_spec: (!self.spec.command.is_empty()).then(|| self.spec.spec(&[])),
        }
    }

    pub(crate) fn ignores_something(&self) -> bool {
        self.spec.is_lost()
    }
}

impl QueryArgs {
    pub(crate) fn query(&self) -> QueryTasksRequest {
        QueryTasksRequest {
            filter: self.filter.filter(),
            reporter_uuid: self.reporter_uuid,
            limit: self.limit,
            offset: self.offset,
            before: None,
            count: self.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(subcommand)]
        command: TasksCommand,
    }

    #[test]
    fn list_option_may_be_empty() {
        let submitted = |words: &[&str]| {
            let line = Line::try_parse_from([&["x", "submit"], words].concat()).unwrap();
            let TasksCommand::Submit(args) = line.command else { panic!("it is `submit`") };
            args.task("ann".into())
        };
        let plain = submitted(&["--", "true"]);
        for option in ["-t", "-l", "-e", "-r"] {
            assert_eq!(submitted(&[option, "--", "true"]), plain, "{option} $EMPTY");
            assert_eq!(submitted(&[option, "", "--", "true"]), plain, "{option} ''");
        }
        assert_eq!(submitted(&["-t", "a,", "-l", ",b", "--", "true"]).tags, ["a"]);
    }
}
