//! `mito config`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::config::Role;
use crate::show::OutputArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show the effective value of every key
    Show(ShowArgs),
}

/// Options of `mito config show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Show the configuration of this role
    #[arg(long, value_enum, default_value_t = RoleArg::Client)]
    pub(crate) role: RoleArg,
    /// Path of the config file
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// Show the origin of each value (JSON, YAML and CSV always do)
    #[arg(long)]
    pub(crate) origin: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// A role with its own configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    Coordinator,
    Worker,
    Client,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Coordinator => Self::Coordinator,
            RoleArg::Worker => Self::Worker,
            RoleArg::Client => Self::Client,
        }
    }
}
