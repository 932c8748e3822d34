//! Output formats and the options that select them.

use clap::{Args, ValueEnum};

/// An output format. `docs/guide/output.md` describes the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns; separated by tabs if not on a terminal
    Table,
    /// One document
    Json,
    /// One document per line
    Jsonl,
    /// A header line, then a line per result
    Csv,
    /// One document
    Yaml,
    /// Only the ID of each result, such as its UUID
    Id,
}

/// The output options, shared by all commands with results.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct OutputArgs {
    /// Output format
    #[arg(
        short = 'o',
        long = "format",
        global = true,
        value_enum,
        hide_possible_values = true,
        value_name = "table|json|jsonl|csv|yaml|id"
    )]
    pub(crate) format: Option<Format>,
    /// Print only results and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

impl OutputArgs {
    /// Combines two sets of options; these have precedence.
    pub(crate) fn or(&self, others: &Self) -> Self {
        Self { format: self.format.or(others.format), quiet: self.quiet || others.quiet }
    }
}
