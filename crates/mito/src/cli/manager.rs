//! `mito manager` (command line §10).

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, Command, FromArgMatches, Subcommand};

use super::worker::WorkerArgs;
use crate::show::OutputArgs;

const SPAWN_EXAMPLES: &str = "\
Examples:
  mito manager spawn 2
  mito manager spawn 1 -c http://coordinator:5000 -u ann --tags gpu --slots auto";
const INSTALL_EXAMPLES: &str = "\
Examples:
  mito manager systemd install -c http://coordinator:5000 -u ann --slots auto
  mito manager systemd install --name mito-gpu --tags gpu --print";
/// The option of a worker that must not appear on its command line.
const PASSWORD: &str = "password";

#[derive(Debug, Subcommand)]
pub(crate) enum ManagerCommand {
    /// Show the status of the workers
    Status(StatusArgs),
    /// Start workers in the background, and restart them when they fail
    Spawn(Box<SpawnArgs>),
    /// Drain workers: they finish their tasks, take no new ones, and exit
    Drain(DrainArgs),
    /// Stop workers; their tasks are killed and requeued
    Kill(KillArgs),
    /// Show worker logs
    Logs(LogsArgs),
    /// Manage workers with systemd user units
    #[command(subcommand)]
    Systemd(SystemdCommand),
    /// Supervise the workers (started by `spawn`)
    #[command(hide = true)]
    Supervise {
        /// Detach from the terminal
        #[arg(long)]
        detached: bool,
    },
}

/// Options of `mito manager status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Options of `mito manager spawn`.
#[derive(Debug, Args)]
#[command(after_help = SPAWN_EXAMPLES)]
pub(crate) struct SpawnArgs {
    /// Number of workers
    pub(crate) count: u16,
    #[command(flatten)]
    pub(crate) worker: WorkerOptions,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SystemdCommand {
    /// Write a systemd unit for workers
    Install(Box<InstallArgs>),
    /// Write a systemd unit for a coordinator
    InstallCoordinator(InstallCoordinatorArgs),
    /// Remove a unit
    Uninstall {
        /// Name of the unit
        #[arg(long, default_value = UNIT, value_parser = unit_name)]
        name: String,
    },
}

/// Options of `mito manager systemd install`.
#[derive(Debug, Args)]
#[command(after_help = INSTALL_EXAMPLES)]
pub(crate) struct InstallArgs {
    /// Name of the unit
    #[arg(long, default_value = UNIT, value_parser = unit_name)]
    pub(crate) name: String,
    /// Only print the unit
    #[arg(long)]
    pub(crate) print: bool,
    #[command(flatten)]
    pub(crate) worker: WorkerOptions,
}

/// Options of `mito manager systemd install-coordinator`.
#[derive(Debug, Args)]
pub(crate) struct InstallCoordinatorArgs {
    /// Name of the unit
    #[arg(long, default_value = "mito-coordinator", value_parser = unit_name)]
    pub(crate) name: String,
    /// Config file of the coordinator
    #[arg(long, value_name = "PATH")]
    pub(crate) config: Option<std::path::PathBuf>,
    /// Only print the unit
    #[arg(long)]
    pub(crate) print: bool,
}

/// The default name of a unit.
const UNIT: &str = "mito-worker";

fn unit_name(text: &str) -> Result<String, String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    match text.chars().all(fits) && (1..=64).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err("expected 1 to 64 letters, digits, `-` and `_`".to_owned()),
    }
}

/// Options of `mito manager drain`.
#[derive(Debug, Args)]
pub(crate) struct DrainArgs {
    /// Worker numbers from `status`, or `all` (default)
    #[arg(value_name = "NUMBER", value_parser = number_or_all)]
    pub(crate) which: Vec<Option<u32>>,
    /// Wait until the workers have exited
    #[arg(long)]
    pub(crate) wait: bool,
}

fn number_or_all(text: &str) -> Result<Option<u32>, String> {
    match text {
        "all" => Ok(None),
        text => text.parse().map(Some).map_err(|_| "expected a worker number or `all`".to_owned()),
    }
}

impl DrainArgs {
    /// The worker numbers; empty for all workers.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        self.which.iter().copied().collect::<Option<_>>().unwrap_or_default()
    }
}

/// Options of `mito manager kill`.
#[derive(Debug, Args)]
pub(crate) struct KillArgs {
    /// Worker numbers from `status` (default: all)
    #[arg(value_name = "NUMBER")]
    pub(crate) numbers: Vec<u32>,
}

/// Options of `mito manager logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Worker number from `status` (default: all)
    #[arg(value_name = "NUMBER")]
    pub(crate) number: Option<u32>,
    /// Follow the logs
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Show the last LINES lines
    #[arg(short = 'n', long, default_value_t = 100)]
    pub(crate) lines: usize,
}

/// The options of `mito worker`: parsed, and as arguments for the started workers.
#[derive(Debug)]
pub(crate) struct WorkerOptions {
    pub(crate) args: WorkerArgs,
    /// The given options in their long form, without the password.
    pub(crate) words: Vec<OsString>,
}

impl FromArgMatches for WorkerOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { args: WorkerArgs::from_arg_matches(matches)?, words: words(matches) })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.args.update_from_arg_matches(matches)?;
        self.words = words(matches);
        Ok(())
    }
}

impl Args for WorkerOptions {
    fn augment_args(command: Command) -> Command {
        WorkerArgs::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        WorkerArgs::augment_args_for_update(command)
    }
}

/// The given options of a worker as arguments. A value is joined to its option with `=`, so that it can't be read as
/// another option.
fn words(matches: &ArgMatches) -> Vec<OsString> {
    let worker = WorkerArgs::augment_args(Command::new("worker"));
    let mut words = Vec::new();
    for option in worker.get_arguments() {
        let id = option.get_id().as_str();
        let Some(name) = option.get_long().filter(|_| id != PASSWORD) else { continue };
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        match option.get_action() {
            ArgAction::SetTrue => words.push(format!("--{name}").into()),
            _ => words.extend(matches.get_raw(id).into_iter().flatten().map(|value| {
                let mut word = OsString::from(format!("--{name}="));
                word.push(value);
                word
            })),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: ManagerCommand,
    }

    #[derive(Debug, Parser)]
    struct Worker {
        #[command(flatten)]
        args: WorkerArgs,
    }

    #[test]
    fn spawn_passes_all_options_but_the_password() {
        let line = "manager spawn 3 -c http://c:1 -u ann -phunter2 -g a:write b -t gpu,eu -t=-x --slots 4 \
                    --lifetime 2d --retain --config my.toml";
        let ManagerCommand::Spawn(spawn) = Line::parse_from(line.split(' ')).command else {
            panic!("it is `spawn`");
        };
        let words = &spawn.worker.words;
        assert!(!words.iter().any(|word| word.to_string_lossy().contains("hunter2")), "{words:?}");
        let again = Worker::parse_from(std::iter::once("worker".into()).chain(words.iter().cloned()));
        let without = line.replace(" -phunter2", "");
        let without = Worker::parse_from(without.split(' ').filter(|word| !["manager", "3"].contains(word)));
        assert_eq!(format!("{again:?}"), format!("{without:?}"));
    }

    #[test]
    fn drain_without_numbers_means_all() {
        let numbers = |line: &str| match Line::try_parse_from(line.split(' ')).unwrap().command {
            ManagerCommand::Drain(args) => args.numbers(),
            _ => panic!("it is `drain`"),
        };
        assert_eq!(numbers("manager drain 2 3"), [2, 3]);
        for all in ["manager drain", "manager drain all", "manager drain 2 all"] {
            assert!(numbers(all).is_empty(), "{all}");
        }
        assert!(Line::try_parse_from(["manager", "drain", "gpu"]).is_err());
    }

    #[test]
    fn spawn_without_options_passes_none() {
        let ManagerCommand::Spawn(spawn) = Line::parse_from(["manager", "spawn", "0"]).command else {
            panic!("it is `spawn`");
        };
        assert_eq!((spawn.count, spawn.worker.words.len()), (0, 0));
    }
}
