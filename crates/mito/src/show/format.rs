//! The forms in which results are written, and how they are asked for.

use clap::{Args, ValueEnum};

/// A form for results. What each holds is in `docs/guide/output.md`.
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

/// The options of every command that shows something.
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
    /// These, and where they say nothing, those.
    pub(crate) fn or(&self, others: &Self) -> Self {
        Self { format: self.format.or(others.format), quiet: self.quiet || others.quiet }
    }
}
