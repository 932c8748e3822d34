//! `mito retry`: runs ended tasks again. Tasks of a job get another attempt; others are submitted again, each linked to the
//! task that it repeats.

use std::process::ExitCode;

use mitosis_client::UserClient;
use mitosis_domain::entropy::{Entropy as _, OsEntropy};
use mitosis_protocol::job::TaskCondition;
use mitosis_protocol::sweep::{ResultsRequest, RetryTasksRequest};
use mitosis_protocol::task::TaskFilter;
use mitosis_protocol::{TaskResultMessage, Uuid};
use mitosis_sweep::retry_transient;

use super::select::TaskSelection;
use super::select_jobs::{self, Target};
use crate::cli::retry::RetryArgs;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show::rows::Rows;
use crate::show::{Output, Retried, RetryOutcome, pluralized};
use crate::task_io::exit::TaskExit;

/// Tasks in one request.
const BATCH_SIZE: usize = 10_000;
/// The most tasks for which a reason is requested.
const MAX_EXPLAINED: usize = 10;

pub(super) async fn run(args: &RetryArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let out = Output::new(&args.output, environment);
    args.select.filter.refuse_empty()?;
    let (jobs, words) = select_jobs::split(&args.select.selectors);
    let mut selection = None;
    if jobs.is_empty() || !words.is_empty() || args.select.filter.pick() {
        let other = TaskSelection::of(&words, &args.select)?;
        refuse_ambiguous(args, &other)?;
        selection = Some(other);
    }
    let identity = Identity::from_options(&args.connection, environment).await?;
    identity.client.require("`mito retry`").await?;
    let targets = select_jobs::targets(&jobs, &identity).await?;
    let tasks = targets.iter().filter_map(|target| match target {
        Target::Task(uuid) => Some(*uuid),
        Target::Job(..) => None,
    });
    let tasks: Vec<Uuid> = tasks.collect();
    if tasks.len() == targets.len() {
        return submit_again(args, selection, tasks, &identity.client, &out).await;
    }
    refuse_mixture(args, selection.is_some() || !tasks.is_empty())?;
    retry_in_place(args, &targets, &identity.client, &out).await
}

/// Refuses tasks without a job among tasks of jobs: they are retried in another way, and have other results.
fn refuse_mixture(args: &RetryArgs, has_others: bool) -> Result<(), Failure> {
    let unclear = |sentence: &str| Err(Failure::new(Exit::Usage, sentence.to_owned()));
    match (has_others, args.again) {
        (true, _) => unclear("`mito retry` takes jobs, or tasks and conditions, but not both at once"),
        (false, true) => {
            unclear("`--again` is for tasks without a job; `--all` includes tasks that succeeded")
        }
        (false, false) => Ok(()),
    }
}

/// Lets tasks of jobs run again.
async fn retry_in_place(
    args: &RetryArgs,
    targets: &[Target],
    user: &UserClient,
    out: &Output,
) -> Result<ExitCode, Failure> {
    let mut rows = out.sentences();
    let mut jobs = Vec::new();
    for target in targets {
        let Target::Job(job, tasks) = target else { continue };
        let mut request = select_jobs::selection(tasks);
        if request.states.is_empty() {
            request.states = states(args);
        }
        let mut retried = 0;
        loop {
            let reply = retry_transient(|| user.retry_job(*job, &request)).await?;
            retried += reply.retried;
            if !reply.more {
                break;
            }
        }
        rows.push(&RetryOutcome { selector: target.selector(), retried })?;
        rows.flush()?;
        if retried > 0 {
            jobs.push(job.to_string());
        }
    }
    rows.finish()?;
    if !jobs.is_empty() {
        out.hint(format_args!("`mito wait {}` waits for the end", jobs.join(" ")));
    }
    Ok(ExitCode::SUCCESS)
}

/// The states of the tasks to retry; none for those that the coordinator retries by default.
fn states(args: &RetryArgs) -> Vec<TaskCondition> {
    use TaskCondition as C;
    match (args.all, args.select.failed) {
        (true, _) => vec![C::Succeeded, C::Failed, C::TimedOut, C::Cancelled],
        (_, true) => vec![C::Failed, C::TimedOut],
        (false, false) => Vec::new(),
    }
}

/// Submits copies of tasks.
async fn submit_again(
    args: &RetryArgs,
    selection: Option<TaskSelection>,
    mut tasks: Vec<Uuid>,
    user: &UserClient,
    out: &Output,
) -> Result<ExitCode, Failure> {
    let mut filter = None;
    if let Some(selection) = selection {
        tasks.extend(selection.named(user).await?);
        filter = selection.filter;
    }
    let batches = Batches::new(args, tasks, filter);
    let mut rows = out.rows();
    let sent = send(user, batches, &mut rows).await;
    // Submitted tasks are printed, also after a failure.
    rows.finish()?;
    let (count, passed_over) = sent?;
    if count > 0 || passed_over.is_empty() {
        out.say(format_args!("submitted {} again", pluralized(count, "task")));
    }
    match passed_over[..] {
        [] => Ok(ExitCode::SUCCESS),
        ref left => {
            let reasons = reasons(user, left, args).await;
            Err(Failure::new(Exit::Partial, format!("not submitted again: {reasons}"))
                .with_hint("`--again` includes tasks that were retried before"))
        }
    }
}

/// The tasks that were not submitted again, each with the reason. Many are only counted.
async fn reasons(user: &UserClient, tasks: &[Uuid], args: &RetryArgs) -> String {
    let mut reasons = Vec::new();
    for task in tasks.iter().take(MAX_EXPLAINED) {
        reasons.push(format!("{task} ({})", reason(user, *task, args).await));
    }
    match tasks.len().saturating_sub(MAX_EXPLAINED) {
        0 => {}
        more => reasons.push(format!("and {more} more")),
    }
    reasons.join(", ")
}

/// Why a task was not submitted again.
async fn reason(user: &UserClient, task: Uuid, args: &RetryArgs) -> String {
    let info = match user.task(task).await {
        Ok(reply) => reply.info,
        Err(error) => return error.to_string(),
    };
    let Some(exit) = TaskExit::from_info(&info) else { return format!("is still {:?}", info.state) };
    if args.select.failed && exit.code().is_success() {
        return "did not fail".to_owned();
    }
    if args.select.failed && exit.result.msg == Some(TaskResultMessage::UserCancellation) {
        return "was cancelled by a user".to_owned();
    }
    let filter = TaskFilter {
        group_name: Some(info.group_name),
        filter: Some(format!("id={task}")),
        ..TaskFilter::default()
    };
    let request = ResultsRequest { filter, failed: false, all: false, before: None, limit: Some(1) };
    match user.results(&request).await {
        Ok(page) if page.results.is_empty() => "was retried before".to_owned(),
        _ => "needs the role Write in its group".to_owned(),
    }
}

/// Sends all requests. Returns the number of tasks that were submitted again, and the tasks that were not.
async fn send(
    user: &UserClient,
    mut batches: Batches,
    rows: &mut Rows<'_, Retried>,
) -> Result<(u64, Vec<Uuid>), Failure> {
    let (mut count, mut passed_over) = (0, Vec::new());
    while let Some(request) = batches.next.take() {
        let reply = retry_transient(|| user.retry(&request)).await?;
        count += reply.retried.len() as u64;
        reply.retried.iter().try_for_each(|task| rows.push(&Retried::from(*task)))?;
        rows.flush()?;
        passed_over.extend(reply.passed_over);
        batches.advance(request, reply.next);
    }
    Ok((count, passed_over))
}

/// Refuses a selection of all tasks, and one that could select a task twice.
fn refuse_ambiguous(args: &RetryArgs, selection: &TaskSelection) -> Result<(), Failure> {
    let unclear = |sentence: &str| Failure::new(Exit::Usage, sentence.to_owned());
    match (selection.picks || args.select.failed, args.again) {
        (false, _) => Err(unclear("no tasks selected: this would retry every task of the group")
            .with_hint("select tasks with `--failed`, labels, states, conditions, or names")),
        // A task that is both named and matched would run twice.
        (true, true) if selection.filter.is_some() && !selection.names.is_empty() => {
            Err(unclear("`--again` accepts names of tasks or conditions, but not both"))
        }
        _ => Ok(()),
    }
}

/// The requests of one command, each with its own idempotency key: first the named tasks, then the matching ones.
struct Batches {
    id: Uuid,
    number: usize,
    listed: std::vec::IntoIter<Uuid>,
    filter: Option<TaskFilter>,
    next: Option<RetryTasksRequest>,
}

impl Batches {
    fn new(args: &RetryArgs, listed: Vec<Uuid>, filter: Option<TaskFilter>) -> Self {
        let listed = listed.into_iter();
        let mut batches = Self { id: OsEntropy.uuid(), number: 0, listed, filter, next: None };
        let plain = RetryTasksRequest { failed: args.select.failed, again: args.again, ..Default::default() };
        batches.next = batches.next_batch(plain);
        batches
    }

    fn advance(&mut self, done: RetryTasksRequest, next: Option<Uuid>) {
        self.next = match (done.filter.is_some(), next) {
            (true, Some(before)) => Some(self.keyed(RetryTasksRequest { before: Some(before), ..done })),
            (true, None) => None,
            (false, _) => self.next_batch(done),
        };
    }

    /// The next request for the list, or else the first one for the filter.
    fn next_batch(&mut self, like: RetryTasksRequest) -> Option<RetryTasksRequest> {
        let some: Vec<Uuid> = self.listed.by_ref().take(BATCH_SIZE).collect();
        let (uuids, filter) = match some.is_empty() {
            false => (Some(some), None),
            true => (None, Some(self.filter.take()?)),
        };
        Some(self.keyed(RetryTasksRequest { uuids, filter, ..like }))
    }

    fn keyed(&mut self, request: RetryTasksRequest) -> RetryTasksRequest {
        self.number += 1;
        let key = format!("mito-retry:{}:{}", self.id, self.number);
        RetryTasksRequest { idempotency_key: Some(key), ..request }
    }
}
