//! `mito dev status`: what is running.

use std::process::ExitCode;

use super::{client, home, running_tasks};
use crate::cli::dev::StatusArgs;
use crate::config::instances::Instances;
use crate::config::{Environment, Instance};
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show::{InstanceShown, Output};

pub(super) async fn run(args: &StatusArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let out = Output::new(&args.output, environment);
    let mut shown = Vec::new();
    for instance in instances(args, environment)? {
        let running = running(&instance).await;
        shown.push(InstanceShown::new(instance, running));
    }
    out.each(&shown)?;
    if shown.is_empty() {
        out.say("`mito dev` is not running");
        return Ok(Exit::Failure.into());
    }
    Ok(ExitCode::SUCCESS)
}

fn instances(args: &StatusArgs, environment: &Environment) -> Result<Vec<Instance>, Failure> {
    let found = Instances::find(environment);
    for reason in &found.refused {
        note!("mito: {reason}");
    }
    match &args.data {
        Some(data) => Ok(found.of_data(&home(Some(data), environment)?).into_iter().collect()),
        None => Ok(found.running),
    }
}

/// The number of running tasks; none if the instance does not answer.
async fn running(instance: &Instance) -> Option<u64> {
    running_tasks::count(&client(instance).ok()??).await.ok()
}
