//! `mito schedule ls`: lists schedules.

use mitosis_protocol::schedule::SchedulesRequest;

use super::{identity, select};
use crate::cli::schedule::ListArgs;
use crate::config::Environment;
use crate::process::failure::Failure;
use crate::show::{Output, ScheduleShown};

pub(super) async fn run(args: &ListArgs, environment: &Environment) -> Result<(), Failure> {
    let out = Output::new(&args.output, environment);
    let identity = identity(&args.connection, environment).await?;
    let creator = (!args.all_users).then(|| identity.name.clone());
    let request = SchedulesRequest { group: args.group.clone(), creator, ..SchedulesRequest::default() };
    let found = select::all(request, &identity).await?;
    let found: Vec<ScheduleShown> = found.into_iter().map(ScheduleShown::from).collect();
    out.all(&found)
}
