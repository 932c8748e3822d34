//! `mito open`: opens the web page, and logs in there.

mod browser;
pub(super) mod link;

use std::process::ExitCode;

use mitosis_domain::selector::TaskSet;
use mitosis_protocol::Uuid;
use mitosis_protocol::job::TaskSelection;

use super::select_jobs::{self, Target};
use crate::cli::open::OpenArgs;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show;

pub(super) async fn run(args: &OpenArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let identity = Identity::from_options(&args.connection, environment).await?;
    identity.client.require("`mito open`").await?;
    let view = match &args.selector {
        Some(selector) => view(select_jobs::target(selector, &identity).await?, &identity).await?,
        None => "/".to_owned(),
    };
    let link = link::to(&view, &identity.client).await?;
    show::line(&link)?;
    if let Some(command) = link::tunnel(identity.client.client().address(), environment) {
        note!("mito: to reach it from your own machine: {command}");
    } else if !args.print
        && let Err(error) = browser::open(&link, environment)
    {
        note!("mito: no browser was opened: {error}");
    }
    Ok(ExitCode::SUCCESS)
}

/// The view of a job or a task.
async fn view(target: Target, identity: &Identity) -> Result<String, Failure> {
    match target {
        Target::Task(uuid) => Ok(of_task(uuid)),
        Target::Job(job, TaskSet::Indices(ranges)) => match ranges.single() {
            Some(index) => task_of_job(job, index, identity).await,
            None => Ok(of_job(job)),
        },
        Target::Job(job, TaskSet::All | TaskSet::State(_)) => Ok(of_job(job)),
    }
}

/// The view of a task by its index. One that is not written yet has none of its own.
async fn task_of_job(job: i64, index: u64, identity: &Identity) -> Result<String, Failure> {
    let selection = TaskSelection { indices: vec![(index, index)], ..TaskSelection::default() };
    let found = select_jobs::tasks(&identity.client, job, &selection, 1).await?;
    let task = found.into_iter().next().and_then(|task| task.task);
    Ok(task.map_or_else(|| of_job(job), |task| of_task(task.uuid)))
}

fn of_job(job: i64) -> String {
    format!("/jobs/{job}")
}

fn of_task(uuid: Uuid) -> String {
    format!("/tasks/{uuid}")
}
