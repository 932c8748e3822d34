//! `mito submit`.

use std::path::PathBuf;

use clap::Args;
use mitosis_domain::selector::JobName;

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
  mito submit job.toml
  find . -name '*.wav' | mito submit --each-line - -- ffmpeg -i {line} {line}.mp3")]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// Discard standard output and standard error of the tasks
    #[arg(long)]
    pub(crate) no_output: bool,
    /// Accepted for compatibility: output is kept unless it is discarded
    #[arg(long, hide = true, conflicts_with = "no_output")]
    terminal: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Show the tasks without submitting them
    #[arg(long, conflicts_with = "format")]
    pub(crate) dry_run: bool,
    /// Name of the job, also a label of its tasks; repeating a named submission submits nothing twice
    #[arg(long, value_name = "NAME", value_parser = value_parsers::job_name)]
    pub(crate) name: Option<JobName>,
    /// Resume a submission that an earlier version or `mito run` has begun
    #[arg(long, value_name = "ID", value_parser = submission_id, conflicts_with_all = ["job", "command", "params", "each_line", "from_csv", "zip", "name", "dry_run", "group", "tags", "labels", "timeout", "lost_after", "idempotent", "priority", "env", "resources", "terminal", "no_output", "after", "after_any", "max_running", "max_failures", "retries", "retry_on", "backoff", "start_after", "expires", "paused"])]
    pub(crate) resume: Option<String>,
    /// Job file in TOML, YAML or JSON
    #[arg(value_name = "JOB", conflicts_with_all = ["command", "params", "each_line", "from_csv", "zip", "tags", "timeout", "lost_after", "idempotent", "priority", "env", "resources", "terminal", "no_output"])]
    pub(crate) job: Option<PathBuf>,
    /// The command and its arguments, run without a shell
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
    // Last: the headings of their options are those of all that follow.
    #[command(flatten)]
    pub(crate) job_options: JobOptionArgs,
    #[command(flatten)]
    pub(crate) sweep: SweepArgs,
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
