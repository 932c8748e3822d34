//! `mito retry`: ended tasks once more, each linked to the one that it repeats.

use std::process::ExitCode;

use mitosis_client::UserClient;
use mitosis_domain::entropy::{Entropy as _, OsEntropy};
use mitosis_protocol::Uuid;
use mitosis_protocol::sweep::RetryTasksRequest;
use mitosis_protocol::task::TaskFilter;
use mitosis_sweep::retry_transient;

use super::select::TaskSelection;
use crate::cli::retry::RetryArgs;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show;
use crate::show::rows::Rows;
use crate::show::{Output, Retried, pluralized};

/// Tasks in one request.
const BATCH_SIZE: usize = 10_000;

pub(super) async fn run(args: &RetryArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let out = Output::new(&args.output, environment);
    args.select.filter.refuse_empty()?;
    let selection = TaskSelection::of(&args.select)?;
    refuse_ambiguous(args, &selection)?;
    let identity = Identity::from_options(&args.connection, environment).await?;
    identity.client.require("`mito retry`").await?;
    let batches = Batches::new(args, selection.named(&identity.client).await?, selection.filter);
    let mut rows = out.rows();
    let sent = send(&identity.client, batches, &mut rows).await;
    // What was submitted is printed, whatever came after.
    rows.finish()?;
    let (count, passed_over) = sent?;
    out.say(format_args!("submitted {} again", pluralized(count, "task")));
    match passed_over[..] {
        [] => Ok(ExitCode::SUCCESS),
        ref left => Err(Failure::new(Exit::Partial, format!("not submitted again: {}", show::words(left))).with_hint(
            "a task must have ended, not have been retried (but see --again), and belong to a group in which you have Write",
        )),
    }
}

/// How many were submitted again, and which were not.
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

fn refuse_ambiguous(args: &RetryArgs, selection: &TaskSelection) -> Result<(), Failure> {
    let unclear = |sentence: &str| Failure::new(Exit::Usage, sentence.to_owned());
    match (selection.picks || args.select.failed, args.again) {
        (false, _) => Err(unclear("this would submit every task of the group again")
            .with_hint("select tasks with `--failed`, labels, states, conditions, or names")),
        // What is named and described would run twice.
        (true, true) if selection.filter.is_some() && !selection.names.is_empty() => {
            Err(unclear("`--again` takes names of tasks or conditions, but not both"))
        }
        _ => Ok(()),
    }
}

/// The requests of one command, each with a key of its own: first those that are named, then those that
/// are described.
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

    /// The next of the list, or else the first of the filter.
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
