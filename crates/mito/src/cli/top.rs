//! `mito top`.

use clap::Args;

use super::connection::ConnectionArgs;
use crate::show::OutputArgs;

/// Options of `mito top`.
#[derive(Debug, Args)]
#[command(after_help = "\
On a terminal, `q` or Ctrl-C ends it. On a pipe, or with -o, it prints the present state once.

Examples:
  mito top
  mito top -a                 with the jobs of others
  mito top -o json")]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Include jobs of all users of your groups; for administrators, of all groups
    #[arg(short, long)]
    pub(crate) all_users: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
