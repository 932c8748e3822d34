//! `mito results`.

use clap::{Args, ValueEnum};

use super::connection::ConnectionArgs;
use super::select::SelectArgs;

/// Options of `mito results`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito results -l exp1 -o csv > exp1.csv
  mito results -l exp1 --failed")]
pub(crate) struct ResultsArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// Also tasks that another one repeats; without this the repetition alone stands for both
    #[arg(long)]
    pub(crate) all: bool,
    /// The form of the results
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub(crate) output: Form,
}

/// In what form results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Columns for people; with tabs between them when it is not a terminal
    Table,
    /// Comma-separated values
    Csv,
    /// One array of objects
    Json,
    /// An object on each line
    Jsonl,
}
