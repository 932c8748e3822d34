//! `mito cancel`: cancels waiting tasks and stops running ones.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use mitosis_client::UserClient;
use mitosis_protocol::Uuid;
use mitosis_sweep::retry_transient;

use super::select_jobs::{self, Target};
use crate::cli::change_jobs::CancelArgs;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show::{CancelOutcome, Output, escaped};

pub(super) async fn run(args: &CancelArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let out = Output::new(&args.output, environment);
    let identity = Identity::from_options(&args.connection, environment).await?;
    identity.client.require("`mito cancel`").await?;
    let targets = select_jobs::targets(&args.selectors, &identity).await?;
    if !args.yes && io::stdin().is_terminal() {
        confirm_others(&targets, &identity).await?;
    }
    let mut rows = out.sentences();
    for target in &targets {
        rows.push(&cancel(&identity.client, target).await?)?;
        rows.flush()?;
    }
    rows.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Asks before jobs and tasks of other users are cancelled.
async fn confirm_others(targets: &[Target], identity: &Identity) -> Result<(), Failure> {
    let mut others = Vec::new();
    for target in targets {
        let creator = creator(target, &identity.client).await?;
        if creator != identity.name {
            others.push(format!("{} ({creator})", target.selector()));
        }
    }
    match others.is_empty() || asked(&question(&others))? {
        true => Ok(()),
        false => Err(Failure::new(Exit::Failure, "nothing was cancelled")
            .with_hint("`--yes` cancels jobs and tasks of other users without a question")),
    }
}

/// The user who submitted a job or a task.
async fn creator(target: &Target, client: &UserClient) -> Result<String, Failure> {
    match target {
        Target::Task(uuid) => Ok(retry_transient(|| client.task(*uuid)).await?.info.creator_username),
        Target::Job(job, _) => {
            let infos = select_jobs::infos(client, std::slice::from_ref(job)).await?;
            Ok(infos.into_iter().next().map(|info| info.creator).unwrap_or_default())
        }
    }
}

fn question(others: &[String]) -> String {
    format!("mito: other users submitted {}. Cancel? [y/N] ", escaped(&others.join(", ")))
}

/// Asks on the terminal; anything but `y` or `yes` means no.
fn asked(question: &str) -> Result<bool, Failure> {
    let mut answer = String::new();
    io::stderr()
        .write_all(question.as_bytes())
        .and_then(|()| io::stdin().read_line(&mut answer))
        .map_err(|error| Failure::io("cannot ask on the terminal", error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
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
