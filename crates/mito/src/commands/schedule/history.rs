//! `mito schedule history`: what came of the last runs of a schedule.

use mitosis_sweep::retry_transient;

use super::{identity, select};
use crate::cli::schedule::HistoryArgs;
use crate::config::Environment;
use crate::process::failure::Failure;
use crate::show::{Output, ScheduleRunShown};

pub(super) async fn run(args: &HistoryArgs, environment: &Environment) -> Result<(), Failure> {
    let out = Output::new(&args.output, environment);
    let identity = identity(&args.connection, environment).await?;
    let schedule = select::number(&args.schedule, &identity).await?;
    let reply = retry_transient(|| identity.client.schedule_runs(schedule)).await?;
    let most = args.limit.map_or(usize::MAX, |limit| usize::try_from(limit.get()).unwrap_or(usize::MAX));
    let runs: Vec<ScheduleRunShown> = reply.runs.into_iter().take(most).map(ScheduleRunShown::from).collect();
    out.all(&runs)
}
