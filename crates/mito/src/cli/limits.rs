//! `mito limits`.

use clap::{Args, Subcommand};

use super::connection::ConnectionArgs;
use crate::show::OutputArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum LimitsCommand {
    /// List the limits of a group, and what is in use
    #[command(visible_alias = "ls")]
    List(OfGroup),
    /// Set a limit: how much tasks may use at the same time
    Set(SetArgs),
    /// Remove a limit that no unfinished job uses
    #[command(visible_alias = "rm")]
    Remove(RemoveArgs),
}

/// The group whose limits are meant.
#[derive(Debug, Args)]
pub(crate) struct OfGroup {
    /// The group (default: your own)
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Options of `mito limits set`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito limits set licence 4 --group lab
  mito submit --group lab --limit licence -- ./simulate")]
pub(crate) struct SetArgs {
    /// Name of the limit
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// How much tasks may use at the same time; with 0, no task that uses the limit starts
    #[arg(value_name = "N")]
    pub(crate) value: u64,
    #[command(flatten)]
    pub(crate) of: OfGroup,
}

/// Options of `mito limits remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Name of the limit
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) of: OfGroup,
}
