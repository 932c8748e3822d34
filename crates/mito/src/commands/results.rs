//! `mito results`: shows the results of many tasks in one table.

use std::collections::HashSet;
use std::process::ExitCode;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mitosis_client::UserClient;
use mitosis_protocol::Uuid;
use mitosis_protocol::sweep::{ResultsRequest, TaskOutcome};
use mitosis_protocol::task::TaskFilter;
use mitosis_sweep::retry_transient;

use super::select::TaskSelection;
use crate::cli::results::ResultsArgs;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show::{Output, Progress, ResultShown};

/// The number of named tasks that are requested at once.
const CONCURRENCY: usize = 16;

pub(super) async fn run(args: &ResultsArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let out = Output::new(&args.output, environment);
    let selection = TaskSelection::of(&args.select)?;
    let identity = Identity::from_options(&args.connection, environment).await?;
    identity.client.require("`mito results`").await?;
    let progress = out.growing_progress("tasks found");
    let outcomes = all(&identity.client, &selection, args, &progress).await;
    progress.clear();
    let results: Vec<ResultShown> = outcomes?.into_iter().map(Into::into).collect();
    out.dynamic(&results)?;
    Ok(ExitCode::SUCCESS)
}

/// All selected results, each once, in the order of submission.
async fn all(
    user: &UserClient,
    selection: &TaskSelection,
    args: &ResultsArgs,
    progress: &Progress,
) -> Result<Vec<TaskOutcome>, Failure> {
    let mut outcomes = match &selection.filter {
        Some(filter) => matching(user, filter, args, progress).await?,
        None => Vec::new(),
    };
    outcomes.reverse();
    if !selection.names.is_empty() {
        let known: HashSet<Uuid> = outcomes.iter().map(|outcome| outcome.uuid).collect();
        let mut named = named(user, selection, args).await?;
        named.retain(|outcome| !known.contains(&outcome.uuid));
        outcomes.extend(named);
        outcomes.sort_by_key(|outcome| (outcome.created_at, outcome.task_id, outcome.uuid));
        outcomes.dedup_by_key(|outcome| outcome.uuid);
    }
    Ok(outcomes)
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

/// Requests the results of named tasks, including retried ones.
async fn named(
    user: &UserClient,
    selection: &TaskSelection,
    args: &ResultsArgs,
) -> Result<Vec<TaskOutcome>, Failure> {
    let uuids = selection.named(user).await?;
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
