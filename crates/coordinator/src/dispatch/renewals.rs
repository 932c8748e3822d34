//! Collects lease renewals for a moment and writes them together.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mitosis_background::Background;
use mitosis_domain::failpoints;
use mitosis_domain::ids::WorkerId;
use mitosis_domain::lease::LeaseTerms;
use mitosis_store::{Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::lease_clock::ClusterClock;

/// How long the first renewal waits for others.
const WINDOW: Duration = Duration::from_millis(20);
/// How long it waits shortly after another batch: many workers cost little more than a few.
const BUSY_WINDOW: Duration = Duration::from_millis(250);
/// How long a batch counts as recent.
const RECENT: Duration = Duration::from_secs(1);
/// The largest number of renewals in one statement.
const BATCH: usize = 1000;

/// Whether a worker is still registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    Renewed,
    Gone,
}

type Answer = Result<Renewal, Arc<StoreError>>;
type Request = (WorkerId, LeaseTerms, oneshot::Sender<Answer>);

/// Renews leases; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Renewals(mpsc::Sender<Request>);

impl Renewals {
    /// Starts the task that writes renewals.
    pub(crate) fn start(background: &Background, store: Arc<dyn Store>, clock: ClusterClock) -> Self {
        let (sender, receiver) = mpsc::channel(BATCH);
        background.spawn_serving("lease-renewals", write_batches(store, clock, receiver));
        Self(sender)
    }

    /// Renews the lease of a worker from now on. Returns once it is written.
    pub(crate) async fn renew(&self, worker: WorkerId, terms: LeaseTerms) -> Answer {
        let (reply, answer) = oneshot::channel();
        if self.0.send((worker, terms, reply)).await.is_err() {
            return Err(Arc::new(StoreError::Closed));
        }
        answer.await.unwrap_or_else(|_| Err(Arc::new(StoreError::Closed)))
    }
}

/// How long to wait for others: little at first, longer when a batch was written a moment ago.
pub(super) fn window(last: Option<Instant>, short: Duration, long: Duration) -> Duration {
    match last {
        Some(last) if last.elapsed() < RECENT => long,
        _ => short,
    }
}

async fn write_batches(store: Arc<dyn Store>, clock: ClusterClock, mut requests: mpsc::Receiver<Request>) {
    let mut batch = Vec::new();
    let mut last = None;
    while let Some(first) = requests.recv().await {
        batch.push(first);
        tokio::time::sleep(window(last, WINDOW, BUSY_WINDOW)).await;
        while batch.len() < BATCH
            && let Ok(next) = requests.try_recv()
        {
            batch.push(next);
        }
        last = Some(Instant::now());
        write(&*store, &clock, &mut batch).await;
    }
}

async fn write(store: &dyn Store, clock: &ClusterClock, batch: &mut Vec<Request>) {
    let renewals: Vec<(WorkerId, LeaseTerms)> =
        batch.iter().map(|(worker, terms, _)| (*worker, *terms)).collect();
    failpoints::point("renew.flush:before");
    let outcome = store.renew_leases(&renewals, clock.moment()).await.map_err(Arc::new);
    failpoints::point("renew.flush:after");
    let gone = outcome.map(|gone| gone.into_iter().collect::<HashSet<_>>());
    for (worker, _, reply) in batch.drain(..) {
        let answer = gone.clone().map(|gone| match gone.contains(&worker) {
            true => Renewal::Gone,
            false => Renewal::Renewed,
        });
        // The caller may have cancelled the request.
        let _ = reply.send(answer);
    }
}
