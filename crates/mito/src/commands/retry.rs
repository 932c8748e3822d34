//! `mito retry`: ended tasks once more, each linked to the one that it repeats.

use std::process::ExitCode;

use mitosis_domain::entropy::{Entropy as _, OsEntropy};
use mitosis_protocol::Uuid;
use mitosis_protocol::sweep::{RetriedTask, RetryTasksRequest};

use crate::cli::retry::RetryArgs;
use crate::config::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::sweep::patiently;
use crate::{logging, show};

/// Tasks in one request.
const AT_ONCE: usize = 10_000;

pub(super) async fn run(args: &RetryArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND, None)?;
    refuse_what_is_unclear(args)?;
    let identity = Identity::of_options(&args.connection, environment).await?;
    let mut passed_over = Vec::new();
    let mut count = 0;
    let mut portions = Portions::of(args);
    while let Some(request) = portions.next.take() {
        let reply = patiently(|| identity.client.retry(&request)).await?;
        tell(&reply.retried)?;
        count += reply.retried.len();
        passed_over.extend(reply.passed_over);
        portions.advance(request, reply.next);
    }
    eprintln!("submitted {count} tasks again");
    match passed_over[..] {
        [] => Ok(ExitCode::SUCCESS),
        ref left => Err(Failure::new(Exit::Partial, format!("these were not: {}", show::words(left))).with_hint(
            "a task must be over, not be repeated already (but see --again), and belong to a group in which you have Write",
        )),
    }
}

fn refuse_what_is_unclear(args: &RetryArgs) -> Result<(), Failure> {
    let unclear = |sentence: &str| Err(Failure::new(Exit::Usage, sentence.to_owned()));
    match (args.uuids.is_empty(), args.select.picks(), args.select.says_something()) {
        (false, true, _) => unclear("name tasks, or describe them, but not both"),
        (true, _, false) => {
            unclear("this would submit every task of the group again").map_err(|failure: Failure| {
                failure.with_hint("say which: `--failed`, labels, states, or the UUIDs of tasks")
            })
        }
        _ => Ok(()),
    }
}

/// The requests of one command, each with a key of its own.
struct Portions {
    id: Uuid,
    number: usize,
    listed: std::vec::IntoIter<Uuid>,
    next: Option<RetryTasksRequest>,
}

impl Portions {
    fn of(args: &RetryArgs) -> Self {
        let listed = args.uuids.clone().into_iter();
        let mut portions = Self { id: OsEntropy.uuid(), number: 0, listed, next: None };
        let plain = RetryTasksRequest { failed: args.select.failed, again: args.again, ..Default::default() };
        portions.next = match args.uuids.is_empty() {
            true => Some(portions.keyed(RetryTasksRequest { filter: Some(args.select.filter()), ..plain })),
            false => portions.of_list(plain),
        };
        portions
    }

    fn advance(&mut self, done: RetryTasksRequest, next: Option<Uuid>) {
        self.next = match (done.filter.is_some(), next) {
            (true, Some(before)) => Some(self.keyed(RetryTasksRequest { before: Some(before), ..done })),
            (true, None) => None,
            (false, _) => self.of_list(done),
        };
    }

    fn of_list(&mut self, like: RetryTasksRequest) -> Option<RetryTasksRequest> {
        let some: Vec<Uuid> = self.listed.by_ref().take(AT_ONCE).collect();
        (!some.is_empty()).then(|| self.keyed(RetryTasksRequest { uuids: Some(some), ..like }))
    }

    fn keyed(&mut self, request: RetryTasksRequest) -> RetryTasksRequest {
        self.number += 1;
        let key = format!("mito-retry:{}:{}", self.id, self.number);
        RetryTasksRequest { idempotency_key: Some(key), ..request }
    }
}

fn tell(retried: &[RetriedTask]) -> Result<(), Failure> {
    for RetriedTask { repeats_task_uuid, uuid, task_id } in retried {
        show::line(format_args!("task {task_id} repeats {repeats_task_uuid}: {uuid}"))?;
    }
    Ok(())
}
