//! `mito results`: shows the results of many tasks in one table.

use std::collections::HashSet;
use std::process::ExitCode;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mitosis_client::UserClient;
use mitosis_domain::selector::{Selector, TaskSet};
use mitosis_protocol::job::TaskCondition;
use mitosis_protocol::sweep::{ResultsRequest, TaskOutcome};
use mitosis_protocol::task::TaskFilter;
use mitosis_protocol::{TaskInfo, Uuid};
use mitosis_sweep::retry_transient;

use super::select::TaskSelection;
use super::select_jobs::{self, Target};
use crate::cli::results::ResultsArgs;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show::{Output, Progress, ResultShown};

/// The number of single tasks that are requested at once.
const CONCURRENCY: usize = 16;
/// Tasks of a job that are requested one by one; more are read as pages of their group.
const FEW: usize = 16;

pub(super) async fn run(args: &ResultsArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let out = Output::new(&args.output, environment);
    let (jobs, words) = select_jobs::split(&args.select.selectors);
    let mut selection = None;
    if jobs.is_empty() || !words.is_empty() || args.select.filter.pick() {
        selection = Some(TaskSelection::of(&words, &args.select)?);
    }
    let identity = Identity::from_options(&args.connection, environment).await?;
    identity.client.require("`mito results`").await?;
    let progress = out.growing_progress("tasks found");
    let outcomes = all(&identity, &jobs, selection, args, &progress).await;
    progress.clear();
    let mut outcomes = outcomes?;
    if !args.usage {
        for outcome in &mut outcomes {
            outcome.usage = None;
        }
    }
    let results: Vec<ResultShown> = outcomes.into_iter().map(Into::into).collect();
    out.dynamic(&results)?;
    Ok(ExitCode::SUCCESS)
}

/// All selected results, each once, in the order of submission.
async fn all(
    identity: &Identity,
    jobs: &[Selector],
    selection: Option<TaskSelection>,
    args: &ResultsArgs,
    progress: &Progress,
) -> Result<Vec<TaskOutcome>, Failure> {
    let user = &identity.client;
    let (mut outcomes, mut uuids) = (Vec::new(), Vec::new());
    for target in select_jobs::targets(jobs, identity).await? {
        match target {
            Target::Task(uuid) => uuids.push(uuid),
            Target::Job(job, tasks) => {
                outcomes.extend(results_of_job(user, job, &tasks, args, progress).await?);
            }
        }
    }
    if let Some(selection) = selection {
        if let Some(filter) = &selection.filter {
            outcomes.extend(matching(user, filter, args, progress).await?);
        }
        uuids.extend(selection.named(user).await?);
    }
    let known: HashSet<Uuid> = outcomes.iter().map(|outcome| outcome.uuid).collect();
    uuids.retain(|uuid| !known.contains(uuid));
    outcomes.extend(named(user, uuids, args).await?);
    outcomes.sort_by_key(|outcome| (outcome.created_at, outcome.task_id, outcome.uuid));
    outcomes.dedup_by_key(|outcome| outcome.uuid);
    Ok(outcomes)
}

/// Requests the results of tasks of a job that are written.
async fn results_of_job(
    user: &UserClient,
    job: i64,
    tasks: &TaskSet,
    args: &ResultsArgs,
    progress: &Progress,
) -> Result<Vec<TaskOutcome>, Failure> {
    let mut selection = select_jobs::selection(tasks);
    if args.select.failed && selection.states.is_empty() {
        selection.states = vec![TaskCondition::Failed, TaskCondition::TimedOut];
    }
    let found = select_jobs::tasks(user, job, &selection, u64::MAX).await?;
    let written: Vec<TaskInfo> = found.into_iter().filter_map(|task| task.task).collect();
    let [first, .., last] = &written[..] else {
        return named(user, written.iter().map(|task| task.uuid).collect(), args).await;
    };
    if written.len() <= FEW {
        return named(user, written.iter().map(|task| task.uuid).collect(), args).await;
    }
    let wanted: HashSet<Uuid> = written.iter().map(|task| task.uuid).collect();
    let mut outcomes = named(user, vec![last.uuid], args).await?;
    let filter = TaskFilter { group_name: Some(last.group_name.clone()), ..TaskFilter::default() };
    let mut request =
        ResultsRequest { filter, failed: false, all: true, before: Some(last.uuid), limit: None };
    // The tasks of a job have consecutive numbers in their group.
    loop {
        let page = retry_transient(|| user.results(&request)).await?;
        let is_past = page.results.last().is_none_or(|outcome| outcome.task_id <= first.task_id);
        outcomes.extend(page.results.into_iter().filter(|outcome| wanted.contains(&outcome.uuid)));
        progress.set(outcomes.len() as u64);
        match page.next {
            Some(next) if !is_past => request.before = Some(next),
            _ => return Ok(outcomes),
        }
    }
}

/// Requests the matching results page by page, newest first.
async fn matching(
    user: &UserClient,
    filter: &TaskFilter,
    args: &ResultsArgs,
    progress: &Progress,
) -> Result<Vec<TaskOutcome>, Failure> {
    let mut outcomes = Vec::new();
    let failed = args.select.failed;
    let mut request =
        ResultsRequest { filter: filter.clone(), failed, all: args.all, before: None, limit: None };
    loop {
        let page = retry_transient(|| user.results(&request)).await?;
        outcomes.extend(page.results);
        progress.set(outcomes.len() as u64);
        match page.next {
            Some(next) => request.before = Some(next),
            None => return Ok(outcomes),
        }
    }
}

/// Requests the results of single tasks, including retried ones.
async fn named(user: &UserClient, uuids: Vec<Uuid>, args: &ResultsArgs) -> Result<Vec<TaskOutcome>, Failure> {
    let asked = stream::iter(uuids).map(async |uuid| outcome(user, uuid, args.select.failed).await);
    let found: Vec<Option<TaskOutcome>> = asked.buffered(CONCURRENCY).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// `None` for a task that did not fail, if only failed ones are selected.
async fn outcome(user: &UserClient, uuid: Uuid, failed: bool) -> Result<Option<TaskOutcome>, Failure> {
    let group = retry_transient(|| user.task(uuid)).await?.info.group_name;
    let filter =
        TaskFilter { group_name: Some(group), filter: Some(format!("id={uuid}")), ..TaskFilter::default() };
    let request = ResultsRequest { filter, failed, all: true, before: None, limit: Some(1) };
    Ok(retry_transient(|| user.results(&request)).await?.results.into_iter().next())
}
