//! Signs of life, collected for a moment and written together.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mitosis_domain::clock::Clock;
use mitosis_domain::ids::WorkerId;
use mitosis_store::{Fault, Store};
use tokio::sync::{mpsc, oneshot};

/// How long the first sign of life waits for others.
const WINDOW: Duration = Duration::from_millis(20);
/// Most signs of life in one statement.
const BATCH: usize = 1000;

/// Whether a worker is still registered after its sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    Renewed,
    Gone,
}

type Answer = Result<Renewal, Arc<Fault>>;
type Sign = (WorkerId, oneshot::Sender<Answer>);

/// Takes signs of life from handlers.
#[derive(Debug, Clone)]
pub(crate) struct Renewals(mpsc::Sender<Sign>);

impl Renewals {
    /// Starts the task that writes them. It ends when the last clone of the handle is gone.
    pub(crate) fn start(store: Arc<dyn Store>, clock: Arc<dyn Clock>, lease: Duration) -> Self {
        let (sender, receiver) = mpsc::channel(BATCH);
        tokio::spawn(write_batches(store, clock, lease, receiver));
        Self(sender)
    }

    /// Writes a sign of life; answers once it is written.
    pub(crate) async fn renew(&self, worker: WorkerId) -> Answer {
        let (reply, answer) = oneshot::channel();
        if self.0.send((worker, reply)).await.is_err() {
            return Err(Arc::new(Fault::Closed));
        }
        answer.await.unwrap_or_else(|_| Err(Arc::new(Fault::Closed)))
    }
}

async fn write_batches(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    lease: Duration,
    mut signs: mpsc::Receiver<Sign>,
) {
    let mut batch = Vec::new();
    while let Some(first) = signs.recv().await {
        batch.push(first);
        tokio::time::sleep(WINDOW).await;
        while batch.len() < BATCH
            && let Ok(next) = signs.try_recv()
        {
            batch.push(next);
        }
        write(&*store, &*clock, lease, &mut batch).await;
    }
}

async fn write(store: &dyn Store, clock: &dyn Clock, lease: Duration, batch: &mut Vec<Sign>) {
    let workers: Vec<WorkerId> = batch.iter().map(|(worker, _)| *worker).collect();
    let outcome = store.renew_leases(&workers, lease, clock.now()).await.map_err(Arc::new);
    let gone = outcome.map(|gone| gone.into_iter().collect::<HashSet<_>>());
    for (worker, reply) in batch.drain(..) {
        let answer = gone.clone().map(|gone| match gone.contains(&worker) {
            true => Renewal::Gone,
            false => Renewal::Renewed,
        });
        // Whoever asked may have hung up meanwhile.
        let _ = reply.send(answer);
    }
}
