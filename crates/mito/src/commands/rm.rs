//! `mito rm`: deletes ended jobs with their tasks and output.

use std::process::ExitCode;

use mitosis_client::UserClient;
use mitosis_domain::selector::Selector;
use mitosis_sweep::retry_transient;

use super::select_jobs;
use crate::cli::change_jobs::JobsArgs;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show::{Output, RemovalOutcome};

pub(super) async fn run(args: &JobsArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let out = Output::new(&args.output, environment);
    let identity = Identity::from_options(&args.connection, environment).await?;
    identity.client.require("`mito rm`").await?;
    let mut rows = out.sentences();
    let mut failures = Vec::new();
    for selector in &args.selectors {
        match remove_selected(selector, &identity).await {
            Ok(removed) => rows.push(&removed)?,
            // It is about this job only.
            Err(failure) if matches!(failure.exit(), Exit::NotFound | Exit::Forbidden | Exit::Failure) => {
                failures.push(failure);
            }
            Err(failure) => return Err(failure),
        }
        rows.flush()?;
    }
    rows.finish()?;
    summary(failures, args.selectors.len())
}

/// The only failure if one job was named; otherwise each is printed, and then counted.
fn summary(mut failures: Vec<Failure>, selected: usize) -> Result<ExitCode, Failure> {
    match (failures.len(), selected) {
        (0, _) => Ok(ExitCode::SUCCESS),
        (_, 1) => Err(failures.swap_remove(0)),
        (count, _) => {
            for failure in &failures {
                note!("mito: {failure}");
            }
            let sentence = format!("{count} of {selected} jobs were not deleted");
            Err(Failure::new(Exit::Partial, sentence))
        }
    }
}

async fn remove_selected(selector: &Selector, identity: &Identity) -> Result<RemovalOutcome, Failure> {
    let job = select_jobs::whole_job(selector, "mito rm", identity).await?;
    remove(&identity.client, job).await
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
