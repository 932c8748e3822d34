//! `mito wait`: waits until jobs or tasks have ended.
//!
//! The coordinator reports counts of jobs, so a wait costs nothing per task.

mod jobs;
mod notice;
mod tasks;
mod verdict;

use std::process::ExitCode;
use std::time::Duration;

use mitosis_domain::selector::{Selector, TaskSet};
use mitosis_protocol::{Uuid, duration};

use self::verdict::Verdict;
use super::client::tasks::wait as wait_for_tasks;
use super::notify_command;
use super::select_jobs::{self, Target};
use crate::cli::wait::WaitArgs;
use crate::config::client::ClientConfig;
use crate::config::{Environment, Layers, Role};
use crate::login::identity::Identity;
use crate::login::reconnect::Reconnect;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show::Output;

/// The condition that ends a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    AllEnded,
    FirstFailure,
}

pub(super) async fn run(args: &WaitArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let out = Output::new(&args.output, environment);
    args.selectors.iter().try_for_each(refuse_state)?;
    let config = args.connection.config.as_deref();
    let layers = Layers::load(Role::Client, config, args.connection.options(), environment)?;
    let config = ClientConfig::new(&layers, environment);
    let done = async {
        let mut reconnect = Reconnect::within(args.timeout);
        let identity = Identity::establish_and_reconnect(&config, &mut reconnect).await?;
        identity.client.require("`mito wait`").await?;
        wait(args, &identity, reconnect, &out).await
    };
    match args.timeout {
        None => done.await,
        Some(limit) => match tokio::time::timeout(limit, done).await {
            Ok(outcome) => outcome,
            Err(_) => Err(timed_out(&args.selectors, limit)),
        },
    }
}

async fn wait(
    args: &WaitArgs,
    identity: &Identity,
    mut reconnect: Reconnect,
    out: &Output,
) -> Result<ExitCode, Failure> {
    let until = if args.fail_fast { Until::FirstFailure } else { Until::AllEnded };
    let (mut whole, mut parts, mut uuids) = (Vec::new(), Vec::new(), Vec::<Uuid>::new());
    for target in select_jobs::targets(&args.selectors, identity).await? {
        match target {
            Target::Job(job, TaskSet::All) => whole.push(job),
            Target::Job(job, tasks) => parts.push((job, tasks)),
            Target::Task(uuid) => uuids.push(uuid),
        }
    }
    let mut verdict = Verdict::default();
    if !whole.is_empty() {
        jobs::wait(&whole, identity, until, &mut reconnect, &mut verdict, out).await?;
    }
    for (job, tasks) in &parts {
        if !verdict.is_final(until) {
            tasks::wait(*job, tasks, identity, until, &mut reconnect, &mut verdict, out).await?;
        }
    }
    if !uuids.is_empty() && !verdict.is_final(until) {
        let tally = wait_for_tasks::wait_for(&uuids, identity, args.fail_fast, reconnect, out).await?;
        verdict.add_tasks(tally);
    }
    let jobs = whole.iter().copied().chain(parts.iter().map(|(job, _)| *job)).collect();
    notify_command::run(&args.notify_command, &verdict.summary(jobs)).await;
    verdict.exit()
}

/// Refuses `12/running`: the set of such tasks changes during the wait.
fn refuse_state(selector: &Selector) -> Result<(), Failure> {
    match selector {
        Selector::Job(job, TaskSet::State(state)) => Err(Failure::new(
            Exit::Usage,
            format!("`mito wait` can't wait for `{job}/{state}`: these tasks change while it waits"),
        )
        .with_hint(format!("wait for the job, `mito wait {job}`, or for indices, such as {job}/1-50"))),
        _ => Ok(()),
    }
}

fn timed_out(selectors: &[Selector], limit: Duration) -> Failure {
    let names: Vec<String> = selectors.iter().map(ToString::to_string).collect();
    let (names, limit) = (names.join(" "), duration::short(limit));
    Failure::new(Exit::TimedOut, format!("{names} has not ended after {limit}")).with_hint(
        "the tasks continue; wait again, see why they wait with `mito show`, or cancel them with `mito cancel`",
    )
}
