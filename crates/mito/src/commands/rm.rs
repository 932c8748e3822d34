//! `mito rm`: deletes ended jobs with their tasks and output.

use std::process::ExitCode;

use mitosis_client::UserClient;
use mitosis_sweep::retry_transient;

use super::select_jobs;
use crate::cli::change_jobs::JobsArgs;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show::{Output, RemovalOutcome};

pub(super) async fn run(args: &JobsArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let out = Output::new(&args.output, environment);
    let identity = Identity::from_options(&args.connection, environment).await?;
    identity.client.require("`mito rm`").await?;
    let jobs = select_jobs::whole_jobs(&args.selectors, "mito rm", &identity).await?;
    let mut rows = out.sentences();
    for job in jobs {
        rows.push(&remove(&identity.client, job).await?)?;
        rows.flush()?;
    }
    rows.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Deletes a job in batches.
async fn remove(client: &UserClient, job: i64) -> Result<RemovalOutcome, Failure> {
    let mut removed = RemovalOutcome { job, tasks: 0, freed_bytes: 0 };
    loop {
        let reply = retry_transient(|| client.remove_job(job)).await?;
        removed.tasks += reply.tasks;
        removed.freed_bytes += reply.freed_bytes;
        if !reply.more {
            return Ok(removed);
        }
    }
}
