//! `mito dev`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::value_parsers;

/// Options of `mito dev`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito dev                            prints the commands for another terminal
  mito dev --data ./trial -b 127.0.0.1:0 --slots 2")]
pub(crate) struct DevArgs {
    /// Data directory (default: `$XDG_DATA_HOME/mitosis/dev`)
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Number of slots (default: one per CPU)
    #[arg(long, value_parser = value_parsers::slots)]
    pub(crate) slots: Option<u16>,
    /// Address to listen on; port 0 picks a free one
    #[arg(short, long, default_value = "127.0.0.1:5000")]
    pub(crate) bind: SocketAddr,
}
