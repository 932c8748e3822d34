//! Looks up names at the coordinator for completion, quickly and silently.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use mitosis_client::UserClient;
use mitosis_protocol::job::{JobInfo, JobsRequest};
use mitosis_protocol::schedule::SchedulesRequest;
use mitosis_protocol::task::{QueryTasksRequest, TaskFilter};
use mitosis_protocol::worker::{QueryWorkersRequest, WorkerFilter, WorkerInfo};
use mitosis_protocol::{TaskInfo, TaskState};

use super::{Candidate, CompletionRequest, Context, Names};
use crate::config::client::ClientConfig;
use crate::config::{Environment, Layers, Options, Role, keys};
use crate::login::credentials::CredentialsFile;
use crate::login::identity;
use crate::show::JobShown;

/// Time limit of a lookup.
const TIMEOUT: Duration = Duration::from_millis(150);
/// The number of newest tasks that are looked up.
const TASKS: u64 = 100;
/// The number of newest jobs that are looked up.
const JOBS: u64 = 50;
/// The number of workers that are looked up.
const WORKERS: u64 = 1_000;

/// Adds matching names, if a user is logged in and the coordinator replies in time.
pub(crate) async fn with_names(request: CompletionRequest, environment: &Environment) -> Vec<Candidate> {
    match request.names {
        Some(names) => match user(&request.context, environment).await {
            Some((user, group)) => with_names_of(request, names, &user, &group).await,
            None => request.candidates,
        },
        None => request.candidates,
    }
}

/// Like [`with_names`], for a logged-in user.
pub(crate) async fn with_names_of(
    request: CompletionRequest,
    names: Names,
    user: &UserClient,
    own_group: &str,
) -> Vec<Candidate> {
    let group = request.context.group.as_deref().unwrap_or(own_group);
    let found = tokio::time::timeout(TIMEOUT, fetched(names, user, group, own_group)).await.ok().flatten();
    let mut candidates = request.candidates;
    let fitting = found.unwrap_or_default().into_iter().filter(|one| one.word.starts_with(&request.prefix));
    candidates.extend(fitting.map(|mut one| {
        one.word.insert_str(0, &request.lead);
        one
    }));
    candidates
}

/// The user of a stored or configured token, and the user's own group.
async fn user(context: &Context, environment: &Environment) -> Option<(UserClient, String)> {
    let options = Options::default()
        .set(keys::COORDINATOR_ADDR, context.coordinator.clone())
        .set(keys::USER, context.user.clone())
        .set(keys::CREDENTIAL_PATH, context.credential_path.clone().map(Into::into));
    let config = context.config.as_deref().map(Path::new);
    let layers = Layers::load_quietly(Role::Client, config, options, environment).ok()?;
    let config = ClientConfig::new(&layers, environment);
    let client = config.client().ok()?;
    if let Some(token) = identity::configured_token(&config).ok()? {
        let user = client.with_user_token(token);
        let name = tokio::time::timeout(TIMEOUT, user.auth()).await.ok()?.ok()?;
        return Some((user, name));
    }
    let file = CredentialsFile::new(config.credentials, &config.address);
    let (name, token) = file.find(config.user.as_deref()).ok()??;
    Some((client.with_user_token(token), name))
}

async fn fetched(names: Names, user: &UserClient, group: &str, own_group: &str) -> Option<Vec<Candidate>> {
    match names {
        Names::Groups => {
            let groups = user.groups().await.ok()?.groups;
            Some(groups.into_iter().map(|(name, role)| Candidate::new(name, format!("{role:?}"))).collect())
        }
        Names::Jobs => jobs(user, own_group).await,
        Names::Schedules => schedules(user, own_group).await,
        Names::Tasks => Some(tasks(user, group).await?.iter().map(task).collect()),
        Names::Workers => Some(workers(user, group).await?.iter().map(worker).collect()),
        Names::Labels => {
            let tasks = tasks(user, group).await?;
            Some(distinct(tasks.into_iter().flat_map(|task| task.labels)))
        }
        Names::Tags => {
            let (tasks, workers) = tokio::join!(tasks(user, group), workers(user, group));
            let of_tasks = tasks.unwrap_or_default().into_iter().flat_map(|task| task.tags);
            let of_workers = workers.unwrap_or_default().into_iter().flat_map(|worker| worker.tags);
            Some(distinct(of_workers.chain(of_tasks)))
        }
    }
}

fn distinct(words: impl Iterator<Item = String>) -> Vec<Candidate> {
    let words: BTreeSet<String> = words.collect();
    words.into_iter().map(|word| Candidate::new(word, "")).collect()
}

/// The numbers and the names of the user's jobs, newest first. A name means the newest job with it.
async fn jobs(user: &UserClient, name: &str) -> Option<Vec<Candidate>> {
    let request = JobsRequest { creator: Some(name.to_owned()), limit: Some(JOBS), ..JobsRequest::default() };
    let jobs = user.jobs(&request).await.ok()?.jobs;
    let about = |job: &JobInfo| JobShown::from(job.clone()).sentence();
    let mut candidates: Vec<Candidate> =
        jobs.iter().map(|job| Candidate::new(job.job.to_string(), about(job))).collect();
    let mut names = BTreeSet::new();
    for (name, job) in jobs.iter().filter_map(|job| Some((job.name.as_ref()?, job))) {
        if names.insert(name) {
            candidates.push(Candidate::new(name, about(job)));
        }
    }
    Some(candidates)
}

/// The names of the user's schedules.
async fn schedules(user: &UserClient, name: &str) -> Option<Vec<Candidate>> {
    let request = SchedulesRequest { creator: Some(name.to_owned()), ..SchedulesRequest::default() };
    let found = user.schedules(&request).await.ok()?.schedules;
    Some(found.into_iter().map(|info| Candidate::new(info.name, info.cron)).collect())
}

async fn tasks(user: &UserClient, group: &str) -> Option<Vec<TaskInfo>> {
    let query = QueryTasksRequest {
        filter: TaskFilter { group_name: Some(group.to_owned()), ..TaskFilter::default() },
        limit: Some(TASKS),
        ..QueryTasksRequest::default()
    };
    Some(user.query_tasks(&query).await.ok()?.tasks)
}

fn task(task: &TaskInfo) -> Candidate {
    let state = if task.state == TaskState::Unknown { String::new() } else { format!("{:?}", task.state) };
    let command = task.spec.args.join(" ");
    Candidate::new(task.uuid, format!("{state} {}", command.chars().take(40).collect::<String>()))
}

async fn workers(user: &UserClient, group: &str) -> Option<Vec<WorkerInfo>> {
    let filter = WorkerFilter { group_name: Some(group.to_owned()), ..WorkerFilter::default() };
    let query = QueryWorkersRequest { filter, limit: Some(WORKERS), ..QueryWorkersRequest::default() };
    Some(user.query_workers(&query).await.ok()?.workers)
}

fn worker(worker: &WorkerInfo) -> Candidate {
    Candidate::new(worker.worker_id, worker.tags.join(" "))
}
