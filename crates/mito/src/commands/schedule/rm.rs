//! `mito schedule rm`: deletes schedules.

use mitosis_sweep::retry_transient;

use super::{identity, select};
use crate::cli::schedule::ManyArgs;
use crate::config::Environment;
use crate::process::failure::Failure;
use crate::show::{Output, ScheduleRemoved};

pub(super) async fn run(args: &ManyArgs, environment: &Environment) -> Result<(), Failure> {
    let out = Output::new(&args.output, environment);
    let identity = identity(&args.connection, environment).await?;
    let mut rows = out.sentences();
    for schedule in select::numbers(&args.schedules, &identity).await? {
        let info = retry_transient(|| identity.client.schedule(schedule)).await?.info;
        identity.client.remove_schedule(schedule).await?;
        rows.push(&ScheduleRemoved { schedule, name: info.name })?;
        rows.flush()?;
    }
    rows.finish()
}
