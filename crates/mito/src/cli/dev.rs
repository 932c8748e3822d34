//! `mito dev`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::value_parsers;
use crate::show::OutputArgs;

/// Options of `mito dev`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
While it runs, commands without a configured coordinator use it.

Examples:
  mito dev                            until Ctrl-C
  mito dev --detach                   in the background
  mito dev status
  mito dev stop
  mito dev --data ./trial -b 127.0.0.1:0 --slots 2"
)]
pub(crate) struct DevArgs {
    #[command(subcommand)]
    pub(crate) command: Option<DevCommand>,
    #[command(flatten)]
    pub(crate) start: StartArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Number of slots (default: one per CPU)
    #[arg(long, value_parser = value_parsers::slots)]
    pub(crate) slots: Option<u16>,
    /// Address to listen on; port 0 picks a free one
    #[arg(short, long, default_value = "127.0.0.1:5000", value_parser = value_parsers::bind_address)]
    pub(crate) bind: SocketAddr,
    /// Run in the background, and return when it is ready; it logs to `dev.log` in the data directory
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// This is the process in the background
    #[arg(long, hide = true, conflicts_with = "detach")]
    pub(crate) detached: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// Data directory (default: `$XDG_DATA_HOME/mitosis/dev`)
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DevCommand {
    /// Show what is running; fails if nothing is
    Status(StatusArgs),
    /// Stop what is running; asks first if tasks are running
    Stop(StopArgs),
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Only the instance with this data directory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// The instance with this data directory; needed if several are running
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Also stop it if tasks are running; they run again after the next start
    #[arg(short, long)]
    pub(crate) force: bool,
}
