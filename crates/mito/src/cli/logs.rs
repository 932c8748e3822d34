//! `mito logs`, and the options that it shares with `mito client tasks logs`.

use clap::Args;
use mitosis_domain::selector::Selector;
use mitosis_protocol::output::MAX_TAIL_LINES;

use super::connection::ConnectionArgs;
use super::value_parsers;

/// Options of `mito logs`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito logs 12/7
  mito logs 12/7 --attempt 1
  mito logs 12/failed --stderr -n 20
  mito logs -f last")]
pub(crate) struct LogsArgs {
    /// Tasks: 12/7, 12/1-50, 12/failed, the tasks of a job (12, its name, `last`), or a UUID or its prefix. With
    /// several tasks, each line starts with its task
    #[arg(value_name = "SELECTOR", required = true, value_parser = value_parsers::job_tasks)]
    pub(crate) selectors: Vec<Selector>,
    /// Show the output of this attempt (default: the last one); `mito show` lists the attempts of a task
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(i64).range(1..), conflicts_with = "follow")]
    pub(crate) attempt: Option<i64>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) part: LogPartArgs,
}

/// Which output is shown, and how.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(crate) struct LogPartArgs {
    /// Follow the output until the tasks have ended, with that of further attempts
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Show only the last N lines of each stream
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=MAX_TAIL_LINES))]
    pub(crate) tail: Option<u64>,
    /// Show only what was written since a time, or in the last 10m, 2h, …
    #[arg(long, value_name = "WHEN", conflicts_with = "tail")]
    pub(crate) since: Option<String>,
    /// Show standard output only
    #[arg(long)]
    pub(crate) stdout: bool,
    /// Show standard error only
    #[arg(long, conflicts_with = "stdout")]
    pub(crate) stderr: bool,
    /// Do not remove control sequences other than colours when showing output on a terminal
    #[arg(long)]
    pub(crate) raw: bool,
}
