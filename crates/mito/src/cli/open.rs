//! `mito open`.

use clap::Args;
use mitosis_domain::selector::Selector;

use super::connection::ConnectionArgs;
use super::value_parsers;

/// Options of `mito open`.
#[derive(Debug, Args)]
#[command(after_help = "\
The link logs in once, within five minutes. With a personal token, the page asks for a login.

Examples:
  mito open
  mito open 12                a job
  mito open 12/7              a task
  mito open last --print      only prints the link")]
pub(crate) struct OpenArgs {
    /// Job or task: 12, 12/7, a name, `last`, or the UUID of a task or its prefix (default: the overview)
    #[arg(value_name = "SELECTOR", value_parser = value_parsers::job_tasks)]
    pub(crate) selector: Option<Selector>,
    /// Print the link and open no browser
    #[arg(short, long)]
    pub(crate) print: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}
