//! The arguments of the command line. The commands themselves are in `commands`.

pub(crate) mod change_jobs;
pub(crate) mod client;
#[cfg(test)]
mod compatibility_tests;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod coordinator;
pub(crate) mod dev;
pub(crate) mod doctor;
pub(crate) mod job_options;
pub(crate) mod limits;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod manager;
pub(crate) mod notify;
pub(crate) mod open;
pub(crate) mod results;
pub(crate) mod retry;
pub(crate) mod run;
pub(crate) mod schedule;
pub(crate) mod secrets;
pub(crate) mod select;
pub(crate) mod shorts;
pub(crate) mod show;
pub(crate) mod submit;
pub(crate) mod sweep;
pub(crate) mod task;
pub(crate) mod top;
pub(crate) mod value_parsers;
pub(crate) mod wait;
pub(crate) mod worker;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use self::client::attachments::AttachmentsCommand;
use self::client::groups::GroupsCommand;
use self::client::users::{LoginArgs, LogoutArgs};
use self::client::workers::WorkersCommand;
use self::shorts::{AdminArgs, NoArgs, ShortArgs, ShortNoun};

use crate::process::version;

/// The help of `mito`: its commands by purpose. clap has one list of commands.
const HELP: &str = "\
{about-with-newline}
{usage-heading} {usage}

Jobs and tasks:
  run          Run a command as a task, show its output, and exit with its code
  submit       Submit a command as a job of one task, or of many tasks with parameters
  ls           List jobs, or the tasks of a job
  top          Show active jobs, workers and totals on the whole terminal
  show         Show a job or a task in full
  open         Open the web page, and log in there
  logs         Show what tasks write: while they run, and after
  wait         Wait for jobs or tasks to end
  cancel       Cancel jobs or tasks: waiting and running ones
  retry        Run failed tasks again
  results      Show the results and parameters of tasks in one table
  rm           Delete ended jobs with their output
  pause        Pause jobs: no more of their tasks start
  resume       Resume paused jobs
  priority     Change the priority of a job
  schedule     Submit jobs at the times of a cron expression
  limits       Limit what the tasks of a group use at the same time
  secrets      Manage the secrets of a group, which its tasks can use

Your account:
  login        Log in and store the token
  logout       Log out: remove the stored token, or end all sessions
  whoami       Show the logged-in user
  groups       Manage groups and members; list your groups
  files        Manage the files of a group, which its tasks can use; list them

Machines:
  dev          Run a coordinator and a worker in one process on this machine
  coordinator  Run the mitosis coordinator
  worker       Run a worker, which executes tasks of a coordinator
  manager      Supervise workers on this machine
  workers      Query and manage workers; list those of your group
  admin        Administration (administrators only)
  doctor       Diagnose common problems

This program:
  config       Show the configuration
  completions  Print a completion script for a shell
  man          Write manual pages
  version      Print version information
  help         Print this message or the help of the given subcommand(s)

All requests to a coordinator, and the commands of 0.6.8:
  client       Send requests to a coordinator

Options:
{options}";

const LOGIN_EXAMPLES: &str = "\
Examples:
  mito login ann                                  prompts for the password
  mito login ann -c http://coordinator:5000
  mito login ann --no-retain                      ends the other sessions of ann";

/// Run commands as tasks on many machines
#[derive(Debug, Parser)]
#[command(name = "mito", version = version::SHORT, long_version = version::LONG, propagate_version = true, arg_required_else_help = true, help_template = HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one value in a process")]
pub(crate) enum Command {
    /// Run a command as a task, show its output, and exit with its code
    Run(run::RunArgs),
    /// Submit a command as a job of one task, or of many tasks with parameters
    Submit(Box<submit::SubmitArgs>),
    /// List jobs, or the tasks of a job
    Ls(ls::LsArgs),
    /// Show active jobs, workers and totals on the whole terminal
    Top(top::TopArgs),
    /// Show a job or a task in full
    Show(show::ShowArgs),
    /// Open the web page, and log in there
    Open(open::OpenArgs),
    /// Show what tasks write: while they run, and after
    Logs(logs::LogsArgs),
    /// Wait for jobs or tasks to end
    Wait(wait::WaitArgs),
    /// Cancel jobs or tasks: waiting and running ones
    Cancel(change_jobs::CancelArgs),
    /// Run failed tasks again
    Retry(retry::RetryArgs),
    /// Show the results and parameters of tasks in one table
    Results(results::ResultsArgs),
    /// Delete ended jobs with their output
    Rm(change_jobs::JobsArgs),
    /// Pause jobs: no more of their tasks start
    Pause(change_jobs::JobsArgs),
    /// Resume paused jobs
    Resume(change_jobs::JobsArgs),
    /// Change the priority of a job
    Priority(change_jobs::PriorityArgs),
    /// Submit jobs at the times of a cron expression
    #[command(subcommand)]
    Schedule(schedule::ScheduleCommand),
    /// Limit what the tasks of a group use at the same time
    #[command(subcommand)]
    Limits(limits::LimitsCommand),
    /// Manage the secrets of a group, which its tasks can use
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    /// Log in and store the token
    #[command(after_help = LOGIN_EXAMPLES)]
    Login(ShortArgs<LoginArgs>),
    /// Log out: remove the stored token, or end all sessions
    Logout(ShortArgs<LogoutArgs>),
    /// Show the logged-in user
    Whoami(ShortArgs<NoArgs>),
    /// Manage groups and members; list your groups
    Groups(Box<ShortNoun<GroupsCommand>>),
    /// Manage the files of a group, which its tasks can use; list them
    Files(Box<ShortNoun<AttachmentsCommand>>),
    /// Query and manage workers; list those of your group
    Workers(Box<ShortNoun<WorkersCommand>>),
    /// Administration (administrators only)
    Admin(Box<AdminArgs>),
    /// Run a coordinator and a worker in one process on this machine
    Dev(dev::DevArgs),
    /// Run the mitosis coordinator
    Coordinator(Box<coordinator::CoordinatorArgs>),
    /// Run a worker, which executes tasks of a coordinator
    Worker(worker::WorkerArgs),
    /// Supervise workers on this machine
    #[command(subcommand)]
    Manager(manager::ManagerCommand),
    /// Diagnose common problems
    Doctor(doctor::DoctorArgs),
    /// Show the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write manual pages
    Man {
        /// Output directory
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Print version information
    Version {
        /// Include build details
        #[arg(long)]
        long: bool,
    },
    /// Send requests to a coordinator
    Client(client::ClientArgs),
    /// Print completion candidates, for the completion scripts
    #[command(name = "__complete", hide = true)]
    Complete {
        /// The words after the program's name, up to the one to complete
        #[arg(last = true)]
        words: Vec<String>,
    },
}

/// Shells with a completion script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn help_lists_every_command_once() {
        let mut mito = super::Cli::command();
        mito.build();
        let listed: Vec<(&str, &str)> = super::HELP
            .lines()
            .filter_map(|line| line.strip_prefix("  ")?.split_once(' '))
            .map(|(name, about)| (name, about.trim()))
            .collect();
        let shown = mito.get_subcommands().filter(|command| !command.is_hide_set());
        let mut all: Vec<(String, String)> = shown
            .map(|command| {
                let about = command.get_about().map(ToString::to_string).unwrap_or_default();
                (command.get_name().to_owned(), about)
            })
            .collect();
        all.sort_unstable();
        let mut sorted: Vec<_> =
            listed.iter().map(|(name, about)| ((*name).to_owned(), (*about).to_owned())).collect();
        sorted.sort_unstable();
        assert_eq!(sorted, all);
        assert_eq!(listed.last().map(|(name, _)| *name), Some("client"));
    }

    /// Every command and its help, as users read it.
    fn each(command: &clap::Command, path: &str, visit: &mut impl FnMut(&str, &str)) {
        visit(path, &command.clone().render_long_help().to_string());
        for sub in command.get_subcommands() {
            each(sub, &format!("{path} {}", sub.get_name()), visit);
        }
    }

    #[test]
    fn help_examples_can_be_pasted_into_a_shell() {
        each(&super::Cli::command(), "mito", &mut |path, help| {
            for word in ["created>-", "finished>-", "created<"] {
                let bare = help.matches(word).count();
                assert_eq!(bare, help.matches(&format!("'{word}")).count(), "`{word}` in {path}: {help}");
            }
        });
    }

    #[test]
    fn common_commands_have_examples() {
        let mut wanted = vec![
            "mito run",
            "mito submit",
            "mito ls",
            "mito top",
            "mito show",
            "mito open",
            "mito logs",
            "mito wait",
            "mito cancel",
            "mito priority",
            "mito schedule add",
            "mito retry",
            "mito results",
            "mito dev",
            "mito worker",
            "mito doctor",
            "mito manager spawn",
            "mito manager systemd install",
            "mito login",
            "mito client login",
            "mito client tokens create",
            "mito client tasks submit",
            "mito client tasks wait",
            "mito client tasks change",
        ];
        each(&super::Cli::command(), "mito", &mut |path, help| {
            let verb = path.rsplit(' ').next().unwrap_or_default();
            let example = help.split_once("Examples:\n").map_or("", |(_, examples)| examples);
            if example.lines().any(|line| line.contains("mito ") && line.contains(&format!(" {verb}"))) {
                wanted.retain(|command| *command != path);
            }
        });
        assert!(wanted.is_empty(), "{wanted:?}");
    }

    #[test]
    fn sweep_heading_lists_only_sweep_options() {
        each(&super::Cli::command(), "mito", &mut |path, help| {
            let Some((_, under)) = help.split_once("Many tasks at once:") else { return };
            for other in ["--quiet", "--dry-run", "--name", "--format", "--resume"] {
                assert!(!under.contains(other), "{other} of {path}");
            }
        });
    }
}
