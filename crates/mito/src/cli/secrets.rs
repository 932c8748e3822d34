//! `mito secrets`.

use clap::{Args, Subcommand};

use super::connection::ConnectionArgs;
use super::value_parsers;
use crate::show::OutputArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// List the secrets of a group, without their values
    #[command(visible_alias = "ls")]
    List(OfGroup),
    /// Set a secret; its value is read from standard input, or from a prompt
    Set(SetArgs),
    /// Remove a secret; tasks that use it can't start any more
    #[command(visible_alias = "rm")]
    Remove(RemoveArgs),
}

/// The group whose secrets are meant.
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

/// Options of `mito secrets set`.
#[derive(Debug, Args)]
#[command(after_help = "\
A single line is taken without its line end; a value of several lines is taken as it is.

Examples:
  mito secrets set DB_PASSWORD --group lab            prompts for the value
  mito secrets set SSH_KEY --group lab < deploy_key
  mito submit --group lab --secret DB_PASSWORD -- ./migrate")]
pub(crate) struct SetArgs {
    /// Name of the secret: letters, digits and `_`
    #[arg(value_name = "NAME", value_parser = value_parsers::secret_name)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) of: OfGroup,
}

/// Options of `mito secrets remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Name of the secret
    #[arg(value_name = "NAME", value_parser = value_parsers::secret_name)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) of: OfGroup,
}
