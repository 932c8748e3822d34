//! The arguments of the command line. The commands themselves are in `commands`.

pub(crate) mod client;
#[cfg(test)]
mod compatibility_tests;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod coordinator;
pub(crate) mod dev;
pub(crate) mod doctor;
pub(crate) mod manager;
pub(crate) mod results;
pub(crate) mod retry;
pub(crate) mod run;
pub(crate) mod select;
pub(crate) mod submit;
pub(crate) mod sweep;
pub(crate) mod task;
pub(crate) mod value_parsers;
pub(crate) mod worker;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::process::version;

/// Run commands as tasks on many machines
#[derive(Debug, Parser)]
#[command(name = "mito", version = version::SHORT, long_version = version::LONG, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the mitosis coordinator
    Coordinator(Box<coordinator::CoordinatorArgs>),
    /// Run a worker, which executes tasks of a coordinator
    Worker(worker::WorkerArgs),
    /// Send requests to a coordinator
    Client(client::ClientArgs),
    /// Supervise workers on this machine
    #[command(subcommand)]
    Manager(manager::ManagerCommand),
    /// Run a command as a task, show its output, and exit with its code
    Run(run::RunArgs),
    /// Submit a command as one task, or as many tasks with parameters
    Submit(Box<submit::SubmitArgs>),
    /// Submit failed tasks again
    Retry(retry::RetryArgs),
    /// Show the results and parameters of tasks in one table
    Results(results::ResultsArgs),
    /// Run a coordinator and a worker in one process on this machine
    Dev(dev::DevArgs),
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
            "mito retry",
            "mito results",
            "mito dev",
            "mito worker",
            "mito doctor",
            "mito manager spawn",
            "mito manager systemd install",
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
