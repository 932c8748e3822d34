//! The cost of ten thousand idle agents.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mitosis_client::WorkerClient;
use mitosis_protocol::agent::PollRequest;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::mito::{Kind, Mito};
use crate::noop::register;
use crate::table::{Table, shown};
use crate::{Error, Plan, observe};

/// Concurrent registrations.
const CONCURRENCY: usize = 50;
/// The maximum time that the protocol allows.
const LONG_POLL: Duration = Duration::from_secs(20);

pub(crate) async fn measure(plan: &Plan) -> Result<(), Error> {
    let count = raise_open_files(plan.size(10_000, 200))?;
    let span = Duration::from_secs(if plan.quick { 25 } else { 600 });
    let mut table = Table::new(
        format!("{count} agents without work, for {} s", span.as_secs()),
        &["program", "CPU %", "memory MB", "growth MB", "lost", "refused", "SQL/s"],
    );
    for kind in Kind::BOTH {
        let mito = Mito::start(plan, kind).await?;
        let pid = mito.coordinator();
        let (at_first, _) = observe::memory(pid)?;
        let over = CancellationToken::new();
        // Each agent polls as soon as it is registered, because the last registration may take a while.
        let polling: Vec<JoinHandle<usize>> = stream::iter((0..count).map(|_| register(&mito, 4)))
            .buffer_unordered(CONCURRENCY)
            .map_ok(|agent| mitosis_testkit::spawn(poll(agent, over.clone())))
            .try_collect()
            .await?;
        // All agents send their first request at nearly the same time; the measurement starts after that.
        tokio::time::sleep(LONG_POLL).await;
        let load = mito.load_over(span).await?;
        let (now, _) = observe::memory(pid)?;
        let registered = mito.workers().await?;
        over.cancel();
        let mut refused = 0;
        for agent in polling {
            refused += agent.await?;
        }
        table.row([
            kind.name().to_owned(),
            shown(load.cpu_percent),
            shown(now / 1e6),
            shown((now - at_first) / 1e6),
            (count - registered).to_string(),
            refused.to_string(),
            shown(load.statements_per_second),
        ]);
    }
    table.print();
    Ok(())
}

/// Sends one held request after the other; returns how many failed.
async fn poll(agent: WorkerClient, over: CancellationToken) -> usize {
    let request = PollRequest { want: 4, wait: Some(LONG_POLL), ..PollRequest::default() };
    let mut refused = 0;
    loop {
        let polled = tokio::select! {
            polled = agent.poll(&request) => polled,
            () = over.cancelled() => return refused,
        };
        if polled.is_err() {
            refused += 1;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Raises the limit of open files, which the coordinator inherits: every connection is an open file in both.
/// Returns how many agents are possible.
pub(crate) fn raise_open_files(wanted: usize) -> Result<usize, Error> {
    const SPARE: u64 = 200;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let files = (wanted as u64 + SPARE).min(most);
    setrlimit(Resource::RLIMIT_NOFILE, files, most)?;
    Ok(usize::try_from(files - SPARE)?.min(wanted))
}
