//! `mito schedule pause` and `mito schedule resume`.

use mitosis_protocol::schedule::ScheduleChange;
use mitosis_sweep::retry_transient;

use super::{identity, select};
use crate::cli::schedule::ManyArgs;
use crate::config::Environment;
use crate::process::failure::Failure;
use crate::show::{Output, ScheduleShown};

pub(super) async fn pause(args: &ManyArgs, environment: &Environment) -> Result<(), Failure> {
    change(args, ScheduleChange { paused: Some(true), ..ScheduleChange::default() }, environment).await
}

pub(super) async fn resume(args: &ManyArgs, environment: &Environment) -> Result<(), Failure> {
    change(args, ScheduleChange { paused: Some(false), ..ScheduleChange::default() }, environment).await
}

async fn change(args: &ManyArgs, change: ScheduleChange, environment: &Environment) -> Result<(), Failure> {
    let out = Output::new(&args.output, environment);
    let identity = identity(&args.connection, environment).await?;
    let client = &identity.client;
    let mut rows = out.sentences();
    for schedule in select::numbers(&args.schedules, &identity).await? {
        retry_transient(|| client.change_schedule(schedule, &change)).await?;
        let changed = retry_transient(|| client.schedule(schedule)).await?;
        rows.push(&ScheduleShown::from(changed.info))?;
    }
    rows.finish()
}
