//! `mito ls`.

use std::num::NonZeroU64;

use clap::Args;
use mitosis_domain::selector::Selector;

use super::connection::ConnectionArgs;
use super::value_parsers;
use crate::show::OutputArgs;

/// Options of `mito ls`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito ls                     your jobs: all that have not ended, and the newest 20
  mito ls 12                  the tasks of a job
  mito ls train/failed        the failed tasks of your newest job with this name
  mito ls 12 -F rate=0.1      the tasks of a job with this value of a parameter
  mito ls --watch last")]
pub(crate) struct LsArgs {
    /// Jobs or tasks of jobs: 12, 12/7, 12/1-50, 12/failed, a name, or `last` (default: your jobs)
    #[arg(value_name = "SELECTOR", value_parser = value_parsers::job_tasks)]
    pub(crate) selectors: Vec<Selector>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Only tasks with this value of a parameter; repeat for more
    #[arg(short = 'F', long = "param", value_name = "NAME=VALUE", requires = "selectors", value_parser = value_parsers::variable)]
    pub(crate) params: Vec<(String, String)>,
    /// Include jobs of all users of your groups
    #[arg(short, long, conflicts_with = "selectors")]
    pub(crate) all_users: bool,
    /// Only jobs of this group
    #[arg(short, long, conflicts_with = "selectors")]
    pub(crate) group: Option<String>,
    /// Only jobs that have not ended
    #[arg(long, conflicts_with = "selectors")]
    pub(crate) active: bool,
    /// Maximum number of rows
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) limit: Option<NonZeroU64>,
    /// Update the list every second, until the selected jobs have ended
    #[arg(short, long, conflicts_with = "format")]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
