//! `mito schedule run`: submits the job of a schedule now.

use mitosis_protocol::job::SubmittedJob;
use mitosis_sweep::retry_transient;

use super::{identity, select};
use crate::cli::schedule::OneArgs;
use crate::config::Environment;
use crate::process::failure::Failure;
use crate::show::{Output, SubmittedShown};

pub(super) async fn run(args: &OneArgs, environment: &Environment) -> Result<(), Failure> {
    let out = Output::new(&args.output, environment);
    let identity = identity(&args.connection, environment).await?;
    let schedule = select::number(&args.schedule, &identity).await?;
    let info = retry_transient(|| identity.client.schedule(schedule)).await?.info;
    // A repetition after a lost reply would submit a second job.
    let submitted = identity.client.run_schedule(schedule).await?;
    let job =
        SubmittedJob { job: submitted.job, name: Some(info.name), tasks: submitted.tasks, group: info.group };
    out.one_line(&SubmittedShown::new(job, false))?;
    out.hint(format_args!("`mito wait {}` waits for the end", submitted.job));
    Ok(())
}
