//! `mito schedule show`: a schedule with its next times and its job.

use mitosis_sweep::retry_transient;

use super::{identity, select};
use crate::cli::schedule::OneArgs;
use crate::config::Environment;
use crate::process::failure::Failure;
use crate::show::{Output, ScheduleDetail};

pub(super) async fn run(args: &OneArgs, environment: &Environment) -> Result<(), Failure> {
    let out = Output::new(&args.output, environment);
    let identity = identity(&args.connection, environment).await?;
    let schedule = select::number(&args.schedule, &identity).await?;
    let reply = retry_transient(|| identity.client.schedule(schedule)).await?;
    out.one(&ScheduleDetail::from(reply))
}
