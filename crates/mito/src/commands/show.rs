//! `mito show`: all about a job or a task.

use std::process::ExitCode;

use mitosis_client::UserClient;
use mitosis_domain::selector::TaskSet;
use mitosis_protocol::Uuid;
use mitosis_protocol::job::{JobReply, JobState, TaskCondition, TaskSelection};
use mitosis_sweep::retry_transient;

use super::select_jobs::{self, Target};
use crate::cli::show::ShowArgs;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show::{JobDetail, JobTaskShown, Output, TaskDetail, TaskOfJob};

pub(super) async fn run(args: &ShowArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let out = Output::new(&args.output, environment);
    let identity = Identity::from_options(&args.connection, environment).await?;
    let client = &identity.client;
    client.require("`mito show`").await?;
    match select_jobs::target(&args.selector, &identity).await? {
        Target::Task(uuid) => out.one(&task(client, uuid, None).await?)?,
        Target::Job(number, tasks) => match one_index(&tasks) {
            None if tasks == TaskSet::All => out.one(&job(client, number).await?)?,
            None => return Err(several(number, &tasks)),
            Some(index) => task_of_job(client, number, index, &out).await?,
        },
    }
    Ok(ExitCode::SUCCESS)
}

fn one_index(tasks: &TaskSet) -> Option<u64> {
    match tasks {
        TaskSet::Indices(ranges) => ranges.single(),
        TaskSet::All | TaskSet::State(_) => None,
    }
}

fn several(job: i64, tasks: &TaskSet) -> Failure {
    Failure::new(Exit::Usage, format!("`mito show` shows one job or task, not `{job}/{tasks}`"))
        .with_hint(format!("`mito ls {job}/{tasks}` lists these tasks"))
}

/// A job, and why it makes no progress.
async fn job(client: &UserClient, job: i64) -> Result<JobDetail, Failure> {
    let reply = retry_transient(|| client.job(job)).await?;
    let waiting = waiting_reason(client, &reply).await;
    Ok(JobDetail::new(reply, waiting))
}

/// Why the next task of a job waits, if no task runs. The job is shown without it if the coordinator gives no reason.
async fn waiting_reason(client: &UserClient, reply: &JobReply) -> Option<String> {
    let info = &reply.info;
    if info.counts.running > 0 || info.counts.waiting == 0 || info.state == JobState::Paused {
        return None;
    }
    let states = vec![TaskCondition::Waiting];
    let selection = TaskSelection { states, ..TaskSelection::default() };
    let next = select_jobs::tasks(client, info.job, &selection, 1).await.ok()?;
    let task = next.into_iter().next()?.task?;
    let why = client.explain_task(task.uuid).await.ok()?;
    Some(why.text)
}

/// A task, by its place in a job. One that is not written yet has only its parameters.
async fn task_of_job(client: &UserClient, job: i64, index: u64, out: &Output) -> Result<(), Failure> {
    let selection = TaskSelection { indices: vec![(index, index)], ..TaskSelection::default() };
    let found = select_jobs::tasks(client, job, &selection, 1).await?;
    let Some(found) = found.into_iter().next() else {
        return Err(Failure::new(Exit::NotFound, format!("job {job} has no task {index}"))
            .with_hint(format!("`mito show {job}` shows how many tasks it has")));
    };
    match found.task.as_ref().map(|task| task.uuid) {
        Some(uuid) => out.one(&task(client, uuid, Some(TaskOfJob { job, index })).await?),
        None => out.one(&JobTaskShown::new(job, found)),
    }
}

async fn task(client: &UserClient, uuid: Uuid, place: Option<TaskOfJob>) -> Result<TaskDetail, Failure> {
    let reply = retry_transient(|| client.task(uuid)).await?;
    let explanation = match reply.info.result {
        Some(_) => None,
        None => Some(retry_transient(|| client.explain_task(uuid)).await?),
    };
    let attempts = retry_transient(|| client.attempts(uuid)).await?.attempts;
    Ok(TaskDetail::new(place, reply, explanation, attempts))
}
