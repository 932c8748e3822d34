//! `mito schedule edit`: changes the times or the policies of a schedule.

use mitosis_protocol::schedule::ScheduleChange;
use mitosis_sweep::retry_transient;

use super::{check_times, identity, select};
use crate::cli::schedule::EditArgs;
use crate::config::Environment;
use crate::process::failure::Failure;
use crate::show::{Output, ScheduleShown};

pub(super) async fn run(args: &EditArgs, environment: &Environment) -> Result<(), Failure> {
    let out = Output::new(&args.output, environment);
    let identity = identity(&args.connection, environment).await?;
    let client = &identity.client;
    let schedule = select::number(&args.schedule, &identity).await?;
    let before = retry_transient(|| client.schedule(schedule)).await?.info;
    let cron = args.cron.as_ref().unwrap_or(&before.cron);
    check_times(cron, args.timezone.as_ref().unwrap_or(&before.timezone))?;
    let change = ScheduleChange {
        paused: None,
        cron: args.cron.clone(),
        timezone: args.timezone.clone(),
        overlap: args.overlap.map(Into::into),
        catch_up: args.catch_up.map(Into::into),
    };
    retry_transient(|| client.change_schedule(schedule, &change)).await?;
    let changed = retry_transient(|| client.schedule(schedule)).await?;
    out.one_line(&ScheduleShown::from(changed.info))
}
