//! `mito submit`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, Args, CommandFactory as _, FromArgMatches as _, Parser};
use mitosis_domain::selector::JobName;

use super::Cli;
use super::connection::ConnectionArgs;
use super::job_options::JobOptionArgs;
use super::sweep::SweepArgs;
use super::task::TaskArgs;
use super::value_parsers;
use crate::show::OutputArgs;

/// Options of `mito submit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito submit -- make test
  mito submit -F seed=1..100 -F rate=0.1,0.01 -l sweep -- python3 train.py --seed {seed} --rate {rate}
  mito submit --after train --max-running 4 -F fold=1..10 -- ./test {fold}
  mito submit --notify https://hooks.example.org/jobs -- make test
  mito submit train.sh -- --fast              sends the script; its lines #MITO have options
  mito submit job.toml
  find . -name '*.wav' | mito submit --each-line - -- ffmpeg -i {line} {line}.mp3")]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Show the tasks without submitting them
    #[arg(long, conflicts_with = "format")]
    pub(crate) dry_run: bool,
    /// Resume a submission that an earlier version or `mito run` has begun
    #[arg(long, value_name = "ID", value_parser = submission_id, conflicts_with_all = ["file", "command", "name", "dry_run", "group", "labels", "after", "after_any", "after_each", "max_running", "limits", "max_failures", "retries", "retry_on", "backoff", "start_after", "expires", "paused", "notify", "notify_on"], conflicts_with_all = OF_ONE_TASK)]
    pub(crate) resume: Option<String>,
    /// Job file in TOML, YAML or JSON, or a script to send along and run; `-` reads a script from standard input
    #[arg(index = 1, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The command and its arguments, run without a shell; after a script, its arguments
    #[arg(index = 2, last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
    // Last: the headings of its options are those of all that follow.
    #[command(flatten)]
    pub(crate) job: JobArgs,
}

/// The options that a script can have in its lines `#MITO`.
#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// Discard standard output and standard error of the tasks
    #[arg(long)]
    pub(crate) no_output: bool,
    /// Accepted for compatibility: output is kept unless it is discarded
    #[arg(long, hide = true, conflicts_with = "no_output")]
    terminal: bool,
    /// Name of the job, also a label of its tasks; repeating a named submission submits nothing twice
    #[arg(long, value_name = "NAME", value_parser = value_parsers::job_name)]
    pub(crate) name: Option<JobName>,
    // Last: the headings of their options are those of all that follow.
    #[command(flatten)]
    pub(crate) options: JobOptionArgs,
    #[command(flatten)]
    pub(crate) sweep: SweepArgs,
}

/// Options for the task of a command or script. A job file has keys instead.
pub(super) const OF_ONE_TASK: [&str; 26] = [
    "params",
    "each_line",
    "from_csv",
    "zip",
    "tags",
    "timeout",
    "cpus",
    "memory",
    "gpus",
    "resource",
    "time_request",
    "lost_after",
    "idempotent",
    "stop_signal",
    "stop_grace",
    "priority",
    "env",
    "export",
    "secrets",
    "env_file",
    "chdir",
    "fresh_dir",
    "stdin",
    "resources",
    "upload",
    "no_output",
];

/// A line `#MITO` of a script.
#[derive(Debug, Parser)]
#[command(name = "#MITO", no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
struct DirectiveArgs {
    #[command(flatten)]
    _job: JobArgs,
}

/// Checks the words of the command line again, now that the file is known to be a job file.
pub(crate) fn check_for_job_file(words: &[OsString]) -> Result<(), clap::Error> {
    let with_conflicts =
        |file: Arg| file.conflicts_with("command").conflicts_with("terminal").conflicts_with_all(OF_ONE_TASK);
    let command = Cli::command().mut_subcommand("submit", |submit| submit.mut_arg("file", with_conflicts));
    command.try_get_matches_from(words).map(drop)
}

/// Checks the options in one line of a script.
pub(crate) fn check_directive(words: &[String]) -> Result<(), clap::Error> {
    DirectiveArgs::try_parse_from(words).map(drop)
}

/// Parses the command line again, with the options of a script before its own. A later option overrides an earlier one, or is
/// added to it if it can be repeated.
pub(crate) fn with_directives(words: &[OsString], options: &[String]) -> Result<SubmitArgs, clap::Error> {
    const VERB: usize = 2;
    let (before, after) = words.split_at(VERB.min(words.len()));
    let all = before.iter().cloned().chain(options.iter().map(OsString::from)).chain(after.iter().cloned());
    let command = Cli::command().mut_subcommand("submit", |submit| submit.args_override_self(true));
    let matches = command.try_get_matches_from(all)?;
    let submit = matches.subcommand_matches("submit").expect("the verb of the first parse");
    SubmitArgs::from_arg_matches(submit)
}

/// Parses the id of a saved submission, which is also a file name.
fn submission_id(text: &str) -> Result<String, String> {
    let fits = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    match !text.is_empty() && text.len() <= 100 && text.chars().all(fits) && !text.starts_with('.') {
        true => Ok(text.to_owned()),
        false => {
            Err("expected 1 to 100 letters, digits, `-`, `_` and `.`, and no `.` at the start".to_owned())
        }
    }
}
