//! `mito client tasks`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use mitosis_protocol::task::{ChangeTaskRequest, QueryTasksRequest, ResourceDownload, SubmitTaskRequest};
use mitosis_protocol::{ExecState, TaskSpec, Uuid};

use super::artifacts::ArtifactsCommand;
pub(crate) use super::filter::FilterArgs;
use super::filter::some;
use crate::cli::task::LossArgs;
use crate::cli::text;

#[derive(Debug, Subcommand)]
pub(crate) enum TasksCommand {
    /// Submit a task
    Submit(SubmitArgs),
    /// Submit the tasks of a file
    SubmitMany {
        /// A JSON array of tasks, each as `POST /tasks` takes it; `-` reads standard input
        #[arg(short, long, value_name = "JSON")]
        file: PathBuf,
    },
    /// Show a task
    Get {
        /// The task: its UUID, the start of it, GROUP-NUMBER, or `last`
        #[arg(value_name = "TASK", value_parser = text::task)]
        task: String,
    },
    /// Say why a task waits, or what became of it
    Explain {
        /// The task: its UUID, the start of it, GROUP-NUMBER, or `last`
        #[arg(value_name = "TASK", value_parser = text::task)]
        task: String,
    },
    /// Find tasks
    Query(QueryArgs),
    /// Cancel a task that waits
    Cancel {
        /// The task: its UUID, the start of it, GROUP-NUMBER, or `last`
        #[arg(value_name = "TASK", value_parser = text::task)]
        task: String,
    },
    /// Stop a task that runs
    Stop {
        /// The task: its UUID, the start of it, GROUP-NUMBER, or `last`
        #[arg(value_name = "TASK", value_parser = text::task)]
        task: String,
    },
    /// Cancel the tasks that match and wait
    CancelMany(FilterArgs),
    /// Cancel these tasks
    CancelList {
        /// The tasks: their UUIDs, the starts of them, GROUP-NUMBER, or `last`
        #[arg(value_name = "TASK", value_delimiter = ',', value_parser = text::task)]
        tasks: Vec<String>,
    },
    /// Replace the labels of a task
    UpdateLabels {
        /// The task: its UUID, the start of it, GROUP-NUMBER, or `last`
        #[arg(value_name = "TASK", value_parser = text::task)]
        task: String,
        /// The new labels; none clears them
        #[arg(value_name = "LABEL", value_delimiter = ',')]
        labels: Vec<String>,
    },
    /// Change a task that waits
    Change(ChangeArgs),
    /// Wait until tasks are over, and end with the code of the only one
    Wait(WaitArgs),
    /// Show where tasks stand, as it changes
    Watch {
        /// Tasks or conditions, as for `wait`; all tasks of one's groups unless given
        #[arg(value_name = "SELECTOR", value_parser = text::selector)]
        selectors: Vec<String>,
    },
    /// Show what an ended task wrote to standard output and standard error, if that was kept
    Logs {
        /// The task: its UUID, the start of it, GROUP-NUMBER, or `last`
        #[arg(value_name = "TASK", value_parser = text::task)]
        task: String,
        /// Where it is not over, show what it writes until it is
        #[arg(short, long)]
        follow: bool,
    },
    /// What tasks leave behind
    #[command(subcommand)]
    Artifacts(ArtifactsCommand),
}

/// What a command is given besides its words.
#[derive(Debug, Args)]
struct SpecArgs {
    /// Variables for the command; a value with a comma needs `mito run`
    #[arg(short, long, value_name = "NAME=VALUE", num_args = 0.., value_delimiter = ',', value_parser = text::or_none(text::variable))]
    envs: Vec<Option<(String, String)>>,
    /// Keep what it writes to standard output and standard error
    #[arg(long)]
    terminal: bool,
    #[command(flatten)]
    loss: LossArgs,
    /// Wait on the worker until another task has come this far
    #[arg(long, value_name = "UUID,STATE", value_parser = text::watch)]
    watch: Option<(Uuid, ExecState)>,
    /// The command and its arguments; there is no shell
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
    /// The group to run it for; the user's own unless given
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    /// What the worker must have
    #[arg(short, long, num_args = 0.., value_delimiter = ',')]
    tags: Vec<String>,
    /// Words by which to find the task again
    #[arg(short, long, num_args = 0.., value_delimiter = ',')]
    labels: Vec<String>,
    /// How long the command may run; `mito run` and `mito submit` give it a day
    #[arg(long, default_value = "10min", value_parser = text::duration)]
    timeout: Duration,
    /// Larger goes first
    #[arg(short, long, default_value_t = 0, allow_negative_numbers = true, value_parser = text::priority)]
    priority: i32,
    /// Files to fetch first: artifact=UUID:TYPE:LOCAL_PATH or attachment=KEY:LOCAL_PATH
    #[arg(short, long, value_name = "FILE", num_args = 0.., value_delimiter = ',', value_parser = text::or_none(text::resource))]
    resources: Vec<Option<ResourceDownload>>,
    /// Wait until it is over, and end with its code
    #[arg(long)]
    pub(crate) wait: bool,
    /// Show what it writes until it is over, and end with its code
    #[arg(long, conflicts_with = "wait")]
    pub(crate) follow: bool,
    /// Stop waiting after this long, with status 124 and the reason; the task goes on
    #[arg(long, value_parser = text::duration)]
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
    /// Tasks (UUID, the start of one, GROUP-NUMBER, `last`) and conditions (label=exp1 state!=finished)
    #[arg(value_name = "SELECTOR", required = true, value_parser = text::selector)]
    pub(crate) selectors: Vec<String>,
    /// Stop waiting after this long, with status 124 and the reason
    #[arg(long, value_parser = text::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Stop waiting when one has failed
    #[arg(long)]
    pub(crate) fail_fast: bool,
}

/// Options of `mito client tasks change`.
#[derive(Debug, Args)]
#[command(after_help = "Another command replaces the old one and all that belongs to it: \
    --envs, --terminal, --watch, --lost-after and --idempotent only count together with it.\n\n\
Examples:
  mito client tasks change ann-42 -t gpu -p 5
  mito client tasks change last --timeout 2h -- python3 train.py --seed 5")]
pub(crate) struct ChangeArgs {
    /// The task: its UUID, the start of it, GROUP-NUMBER, or `last`
    #[arg(value_name = "TASK", value_parser = text::task)]
    pub(crate) task: String,
    /// What the worker must have
    #[arg(short, long, num_args = 0.., value_delimiter = ',')]
    tags: Vec<String>,
    /// How long the command may run
    #[arg(long, value_parser = text::duration)]
    timeout: Option<Duration>,
    /// Larger goes first
    #[arg(short, long, allow_negative_numbers = true, value_parser = text::priority)]
    priority: Option<i32>,
    #[command(flatten)]
    spec: SpecArgs,
}

/// Options of `mito client tasks query` (command line §4.2).
#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
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
            ..TaskSpec::default()
        }
    }

    /// Whether something was given that only counts together with a command.
    fn is_lost(&self) -> bool {
        self.command.is_empty()
            && (self.terminal
                || self.watch.is_some()
                || self.loss.lost_after.is_some()
                || self.loss.idempotent
                || self.envs.iter().flatten().next().is_some())
    }
}

impl SubmitArgs {
    /// The task, for a group.
    pub(crate) fn task(&self, group: String) -> SubmitTaskRequest {
        let mut task_spec = self.spec.spec(&self.resources.iter().flatten().cloned().collect::<Vec<_>>());
        // What is missing at the end is read from what was kept.
        task_spec.terminal_output |= self.follow;
        SubmitTaskRequest {
            group_name: group,
            tags: text::given(&self.tags),
            labels: text::given(&self.labels),
            timeout: self.timeout,
            priority: self.priority,
            task_spec,
        }
    }
}

impl ChangeArgs {
    pub(crate) fn change(&self) -> ChangeTaskRequest {
        ChangeTaskRequest {
            tags: some(text::given(&self.tags)),
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
    fn a_list_option_may_be_empty() {
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
