//! `mito schedule`.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use mitosis_domain::selector::JobName;
use mitosis_protocol::schedule::{CatchUp, Overlap};

use super::connection::ConnectionArgs;
use super::job_options::LimitArgs;
use super::notify::NotifyArgs;
use super::submit::OF_ONE_TASK;
use super::sweep::SweepArgs;
use super::task::TaskArgs;
use super::value_parsers;
use crate::show::OutputArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum ScheduleCommand {
    /// Submit a command as a job again and again, at the times of a cron expression
    Add(Box<AddArgs>),
    /// Change the times or the policies of a schedule; its job stays
    Edit(EditArgs),
    /// List schedules
    Ls(ListArgs),
    /// Show a schedule with its next times and its job
    Show(OneArgs),
    /// Pause schedules: they submit nothing until they are resumed
    Pause(ManyArgs),
    /// Resume paused schedules
    Resume(ManyArgs),
    /// Submit the job of a schedule now
    Run(OneArgs),
    /// Delete schedules; their jobs stay
    Rm(ManyArgs),
    /// Show what came of the last runs of a schedule
    History(HistoryArgs),
}

/// Options of `mito schedule add`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito schedule add nightly '0 3 * * *' -- make test
  mito schedule add report '0 9 * * mon-fri' --timezone Europe/Oslo -- ./report
  mito schedule add sync '*/15 * * * *' --overlap replace --timeout 10m -- rsync -a src/ dst/
  mito schedule add report @daily job.toml
  mito schedule add sweep @weekly -F seed=1..100 -- python3 train.py --seed {seed}")]
pub(crate) struct AddArgs {
    /// Name of the schedule and of its jobs, also a label of their tasks
    #[arg(index = 1, value_name = "NAME", value_parser = value_parsers::job_name)]
    pub(crate) name: JobName,
    /// Times: minute, hour, day of the month, month and day of the week, or @hourly, @daily, @weekly, @monthly, @yearly
    #[arg(index = 2, value_name = "CRON")]
    pub(crate) cron: String,
    /// Time zone of the times, such as Europe/Oslo
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub(crate) timezone: String,
    /// What to do when a run is due while a job of the schedule has not ended
    #[arg(long, value_enum, value_name = "POLICY", default_value_t = OverlapPolicy::Skip)]
    pub(crate) overlap: OverlapPolicy,
    /// What to do about runs that were due while no coordinator was running
    #[arg(long, value_enum, value_name = "POLICY", default_value_t = CatchUpPolicy::One)]
    pub(crate) catch_up: CatchUpPolicy,
    /// Submit nothing before `mito schedule resume`
    #[arg(long)]
    pub(crate) paused: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// Discard standard output and standard error of the tasks
    #[arg(long)]
    pub(crate) no_output: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Job file with one task, in TOML, YAML or JSON
    #[arg(index = 3, value_name = "FILE", required_unless_present = "command", conflicts_with = "command", conflicts_with_all = OF_ONE_TASK)]
    pub(crate) file: Option<PathBuf>,
    /// The command and its arguments, run without a shell
    #[arg(index = 4, last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
    // Last: the headings of their options are those of all that follow.
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) notify: NotifyArgs,
    #[command(flatten)]
    pub(crate) sweep: SweepArgs,
}

/// Options of `mito schedule edit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito schedule edit nightly --cron '30 2 * * *'
  mito schedule edit report --timezone Europe/Oslo --overlap queue")]
pub(crate) struct EditArgs {
    /// Schedule: its number, its name, or GROUP/NAME
    #[arg(value_name = "SCHEDULE")]
    pub(crate) schedule: String,
    /// New times, as for `mito schedule add`
    #[arg(long, value_name = "CRON", required_unless_present_any = ["timezone", "overlap", "catch_up"])]
    pub(crate) cron: Option<String>,
    /// New time zone of the times
    #[arg(long, value_name = "ZONE")]
    pub(crate) timezone: Option<String>,
    /// What to do when a run is due while a job of the schedule has not ended
    #[arg(long, value_enum, value_name = "POLICY")]
    pub(crate) overlap: Option<OverlapPolicy>,
    /// What to do about runs that were due while no coordinator was running
    #[arg(long, value_enum, value_name = "POLICY")]
    pub(crate) catch_up: Option<CatchUpPolicy>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Options of `mito schedule ls`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Include schedules of all users of your groups
    #[arg(short, long)]
    pub(crate) all_users: bool,
    /// Only schedules of this group
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Options of commands on one schedule.
#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// Schedule: its number, its name, or GROUP/NAME
    #[arg(value_name = "SCHEDULE")]
    pub(crate) schedule: String,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Options of commands on several schedules.
#[derive(Debug, Args)]
pub(crate) struct ManyArgs {
    /// Schedules: numbers, names, or GROUP/NAME
    #[arg(value_name = "SCHEDULE", required = true)]
    pub(crate) schedules: Vec<String>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Options of `mito schedule history`.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Schedule: its number, its name, or GROUP/NAME
    #[arg(value_name = "SCHEDULE")]
    pub(crate) schedule: String,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Maximum number of runs
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) limit: Option<NonZeroU64>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// The values of `--overlap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OverlapPolicy {
    /// Skip the run
    Skip,
    /// The new job waits until the others have ended
    Queue,
    /// Cancel the others; the new job starts when they have ended
    Replace,
}

/// The values of `--catch-up`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CatchUpPolicy {
    /// Nothing
    None,
    /// Run the last one
    One,
    /// Run each in order, at most the last 100
    All,
}

impl From<OverlapPolicy> for Overlap {
    fn from(policy: OverlapPolicy) -> Self {
        match policy {
            OverlapPolicy::Skip => Self::Skip,
            OverlapPolicy::Queue => Self::Queue,
            OverlapPolicy::Replace => Self::Replace,
        }
    }
}

impl From<CatchUpPolicy> for CatchUp {
    fn from(policy: CatchUpPolicy) -> Self {
        match policy {
            CatchUpPolicy::None => Self::None,
            CatchUpPolicy::One => Self::One,
            CatchUpPolicy::All => Self::All,
        }
    }
}
