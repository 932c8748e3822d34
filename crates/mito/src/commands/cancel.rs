//! `mito cancel`: cancels waiting tasks and stops running ones.

use std::process::ExitCode;

use mitosis_client::UserClient;
use mitosis_protocol::Uuid;
use mitosis_sweep::retry_transient;

use super::select_jobs::{self, Target};
use crate::cli::change_jobs::CancelArgs;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show::{CancelOutcome, Output};

pub(super) async fn run(args: &CancelArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let out = Output::new(&args.output, environment);
    let identity = Identity::from_options(&args.connection, environment).await?;
    identity.client.require("`mito cancel`").await?;
    let targets = select_jobs::targets(&args.selectors, &identity).await?;
    let mut rows = out.sentences();
    for target in &targets {
        rows.push(&cancel(&identity.client, target).await?)?;
        rows.flush()?;
    }
    rows.finish()?;
    Ok(ExitCode::SUCCESS)
}

async fn cancel(client: &UserClient, target: &Target) -> Result<CancelOutcome, Failure> {
    let selector = target.selector();
    match target {
        Target::Task(uuid) => cancel_task(client, *uuid).await,
        Target::Job(job, tasks) => {
            let selection = select_jobs::selection(tasks);
            let reply = retry_transient(|| client.cancel_job(*job, &selection)).await?;
            let (cancelled, stopping, unstoppable) = (reply.cancelled, reply.stopping, reply.unstoppable);
            Ok(CancelOutcome { selector, cancelled, stopping, unstoppable })
        }
    }
}

/// Cancels a task, or stops it if it runs.
async fn cancel_task(client: &UserClient, uuid: Uuid) -> Result<CancelOutcome, Failure> {
    let outcome = CancelOutcome { selector: uuid.to_string(), ..CancelOutcome::default() };
    let task = retry_transient(|| client.task(uuid)).await?.info;
    if task.result.is_some() {
        return Ok(outcome);
    }
    match client.cancel(uuid).await {
        Ok(()) => Ok(CancelOutcome { cancelled: 1, ..outcome }),
        // It does not wait, or started meanwhile.
        Err(error) if error.status() == Some(404) => {
            retry_transient(|| client.stop_task(uuid)).await?;
            Ok(CancelOutcome { stopping: 1, ..outcome })
        }
        Err(error) => Err(error.into()),
    }
}
