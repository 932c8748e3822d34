//! Collects the reports and claims of agents into batches, each of which is one transaction.
//!
//! Nothing is delayed in order to be collected: requests that arrive during a transaction form the next batch. So a
//! single agent is served at once, and many at the cost of a few.

use mitosis_protocol::LeaseToken;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mitosis_domain::failpoints;
use mitosis_domain::ids::WorkerId;
use mitosis_domain::task::LeaseKey;
use mitosis_store::ops::dispatch::{Assigned, Class, Exchange, Exchanged, Verdict};
use mitosis_store::{Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lease_clock::ClusterClock;
use super::poll_queue::{Generation, PollQueue, Waiter};
use super::retry::Retry;
use crate::metrics::Metrics;
use crate::publish::Publisher;
use crate::publish::notifier::Notifier;

/// Transactions under way at once. With more, batches only get smaller and wait for each other's workers.
const CONCURRENCY: usize = 2;
/// Attempts and tasks in one transaction, beyond which no further agent is added.
const BATCH: usize = 512;
/// As many bytes of archives count as one more task, so that a transaction stores a few MiB at most.
const BYTES_OF_A_TASK: usize = 8 * 1024;
/// Agents in one transaction.
const AGENTS: usize = 128;
/// How long to rely on notifications: hints between coordinators may get lost.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How long a known eligibility class is used, should the hint that it changed get lost.
const CLASS_TTL: Duration = Duration::from_secs(60);

type Answer = Result<Exchanged, Arc<StoreError>>;

/// Hands requests to the dispatcher; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ExchangeBatcher(mpsc::UnboundedSender<Request>);

#[derive(Debug)]
struct Request {
    exchange: Arc<Exchange>,
    reply_when: ReplyWhen,
    reply: oneshot::Sender<Answer>,
}

/// When a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReplyWhen {
    /// After its transaction.
    Processed,
    /// After a transaction that assigns a task.
    Assigned,
}

impl ExchangeBatcher {
    /// A batcher, and the receiving end for [`serve`].
    pub(crate) fn new() -> (Self, RequestReceiver) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), RequestReceiver(receiver))
    }

    /// Reports ends and claims tasks; returns at once, with or without tasks.
    pub(crate) async fn exchange(&self, exchange: Exchange) -> Answer {
        self.request(exchange, ReplyWhen::Processed).await
    }

    /// Claims tasks as soon as there are some. If the caller cancels the request, tasks that were assigned meanwhile are
    /// requeued.
    pub(crate) async fn wait_for_work(
        &self,
        worker: WorkerId,
        (want, has_room): (usize, bool),
        token: LeaseToken,
    ) -> Answer {
        let exchange = Exchange { worker, ended: Vec::new(), returned: Vec::new(), want, has_room, token };
        self.request(exchange, ReplyWhen::Assigned).await
    }

    async fn request(&self, exchange: Exchange, reply_when: ReplyWhen) -> Answer {
        let (reply, answer) = oneshot::channel();
        if self.0.send(Request { exchange: Arc::new(exchange), reply_when, reply }).is_err() {
            return Err(Arc::new(StoreError::Closed));
        }
        answer.await.unwrap_or_else(|_| Err(Arc::new(StoreError::Closed)))
    }
}

/// The receiving end of an [`ExchangeBatcher`].
pub(crate) struct RequestReceiver(mpsc::UnboundedReceiver<Request>);

/// The dependencies of the dispatcher.
#[derive(Debug, Clone)]
pub(crate) struct Dependencies {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) cluster_clock: ClusterClock,
    pub(crate) retry: Retry,
    /// Notified when tasks became Ready.
    pub(crate) ready: Notifier,
    pub(crate) publisher: Publisher,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stopping: CancellationToken,
}

/// Serves requests until the application stops.
pub(crate) async fn serve(dependencies: Dependencies, mut requests: RequestReceiver) {
    let mut ready = dependencies.ready.subscribe();
    let mut dispatcher = Dispatcher {
        incoming: VecDeque::new(),
        waiting: PollQueue::new(),
        classes: ClassCache::default(),
        running: JoinSet::new(),
    };
    let mut poll = tokio::time::interval(POLL_INTERVAL);
    loop {
        tokio::select! {
            request = requests.0.recv() => match request {
                Some(request) => dispatcher.accept(request),
                None => return,
            },
            Some(ended) = dispatcher.running.join_next() => match ended {
                Ok(ended) => dispatcher.conclude(&dependencies, ended),
                Err(error) => tracing::error!(%error, "an exchange failed"),
            },
            () = ready.notified() => dispatcher.notified(),
            _ = poll.tick() => dispatcher.poll(),
            () = dependencies.stopping.cancelled() => return dispatcher.close(requests).await,
        }
        while let Ok(request) = requests.0.try_recv() {
            dispatcher.accept(request);
        }
        dispatcher.start(&dependencies);
        dependencies.metrics.waiting_polls.set(dispatcher.waiting.len());
    }
}

/// Pending, waiting and in-flight requests.
struct Dispatcher {
    incoming: VecDeque<Request>,
    waiting: PollQueue<Request>,
    classes: ClassCache,
    running: JoinSet<Ended>,
}

/// Eligibility classes of workers, until the next notification. They need not be looked up for every poll.
#[derive(Debug)]
struct ClassCache {
    classes: HashMap<WorkerId, Class>,
    since: Instant,
}

impl Default for ClassCache {
    fn default() -> Self {
        Self { classes: HashMap::new(), since: Instant::now() }
    }
}

impl ClassCache {
    fn get(&mut self, worker: WorkerId) -> Option<Class> {
        if self.since.elapsed() > CLASS_TTL {
            self.clear();
        }
        self.classes.get(&worker).copied()
    }

    fn insert(&mut self, worker: WorkerId, class: Class) {
        self.classes.insert(worker, class);
    }

    fn clear(&mut self) {
        self.classes.clear();
        self.since = Instant::now();
    }
}

/// A finished transaction.
struct Ended {
    generation: Generation,
    requests: Vec<Request>,
    outcome: Result<Vec<Exchanged>, Arc<StoreError>>,
}

impl Dispatcher {
    fn accept(&mut self, request: Request) {
        match request.reply_when {
            ReplyWhen::Assigned => {
                let class = self.classes.get(request.exchange.worker);
                self.waiting.push(request, class);
            }
            ReplyWhen::Processed => self.incoming.push_back(request),
        }
    }

    /// Handles a notification: tasks became Ready, or a worker may run other tasks.
    fn notified(&mut self) {
        self.classes.clear();
        self.waiting.notify();
    }

    /// Removes cancelled requests, and serves the others again.
    fn poll(&mut self) {
        self.waiting.retain(|request| !request.reply.is_closed());
        if !self.waiting.is_empty() {
            self.waiting.notify();
        }
    }

    /// Starts transactions while there are requests and the limit allows it.
    fn start(&mut self, dependencies: &Dependencies) {
        while self.running.len() < CONCURRENCY {
            let requests = self.next_batch();
            if requests.is_empty() {
                return;
            }
            let (dependencies, generation) = (dependencies.clone(), self.waiting.generation());
            self.running.spawn(async move {
                let batch: Vec<_> = requests.iter().map(|request| Arc::clone(&request.exchange)).collect();
                let started = Instant::now();
                let outcome = run(&dependencies, &batch).await;
                dependencies.metrics.exchange(started.elapsed());
                Ended { generation, requests, outcome }
            });
        }
    }

    /// The next batch: reports first, then waiting polls. No agent is in a batch twice: two of its requests may
    /// report the same.
    fn next_batch(&mut self) -> Vec<Request> {
        let (mut batch, mut load, mut workers) = (Vec::new(), 0, HashSet::new());
        let mut later = VecDeque::new();
        while load < BATCH
            && batch.len() < AGENTS
            && let Some(request) = self.incoming.pop_front()
        {
            if !workers.insert(request.exchange.worker) {
                later.push_back(request);
                continue;
            }
            load += request.load();
            batch.push(request);
        }
        later.append(&mut self.incoming);
        self.incoming = later;
        while load < BATCH
            && batch.len() < AGENTS
            && let Some(Waiter { request, class }) = self.waiting.next()
        {
            if request.reply.is_closed() {
                continue;
            }
            if !workers.insert(request.exchange.worker) {
                self.waiting.requeue(request, class, self.waiting.generation());
                continue;
            }
            load += request.load();
            batch.push(request);
        }
        batch
    }

    /// Replies to the requests of a finished transaction. Waiting requests that got no task keep waiting.
    fn conclude(&mut self, dependencies: &Dependencies, ended: Ended) {
        let Ended { generation, requests, outcome } = ended;
        if requests.iter().any(|request| !request.exchange.ended.is_empty()) {
            failpoints::point("complete.commit:after");
        }
        if requests.iter().any(|request| request.exchange.want > 0) {
            failpoints::point("claim.commit:after");
        }
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                for request in requests {
                    // The caller may have cancelled the request.
                    let _ = request.reply.send(Err(error.clone()));
                }
                return;
            }
        };
        count(&dependencies.metrics, &outcome);
        for (request, exchanged) in requests.into_iter().zip(outcome) {
            let class = self.note_class(&request, &exchanged, generation);
            match &exchanged.assigned {
                Assigned::Work(work, _) if work.is_empty() && request.reply_when == ReplyWhen::Assigned => {
                    self.waiting.requeue(request, class, generation);
                }
                _ => self.reply(request, exchanged),
            }
        }
    }

    /// Caches the class of a worker, and notes if the class got less than it wanted.
    fn note_class(
        &mut self,
        request: &Request,
        exchanged: &Exchanged,
        generation: Generation,
    ) -> Option<Class> {
        let Assigned::Work(work, class) = &exchanged.assigned else { return None };
        if work.len() < request.exchange.want {
            self.waiting.exhausted(*class, generation);
        }
        if generation == self.waiting.generation() {
            self.classes.insert(request.exchange.worker, *class);
        }
        Some(*class)
    }

    /// Replies to a request. If it was cancelled, its tasks are requeued at once.
    fn reply(&mut self, request: Request, exchanged: Exchanged) {
        let Err(Ok(undelivered)) = request.reply.send(Ok(exchanged)) else { return };
        let Assigned::Work(work, _) = undelivered.assigned else { return };
        if request.reply_when == ReplyWhen::Assigned && !work.is_empty() {
            let returned: Vec<LeaseKey> = work.iter().map(|work| work.lease).collect();
            let Exchange { worker, token, .. } = *request.exchange;
            let exchange = Exchange { worker, ended: Vec::new(), returned, want: 0, has_room: false, token };
            let exchange = Arc::new(exchange);
            let (reply, _) = oneshot::channel();
            self.incoming.push_back(Request { exchange, reply_when: ReplyWhen::Processed, reply });
        }
    }

    /// Waits for transactions in flight, and drops the other requests.
    async fn close(mut self, mut requests: RequestReceiver) {
        requests.0.close();
        while let Some(ended) = self.running.join_next().await {
            if let Ok(Ended { requests, outcome: Ok(outcome), .. }) = ended {
                for (request, exchanged) in requests.into_iter().zip(outcome) {
                    let _ = request.reply.send(Ok(exchanged));
                }
            }
        }
    }
}

impl Request {
    fn load(&self) -> usize {
        let Exchange { ended, returned, want, .. } = &*self.exchange;
        let archives = ended.iter().flat_map(|ended| &ended.archives);
        let bytes: usize = archives.map(|archive| archive.bytes.len()).sum();
        1 + ended.len() + returned.len() + want + bytes / BYTES_OF_A_TASK
    }
}

fn count(metrics: &Metrics, exchanged: &[Exchanged]) {
    for one in exchanged {
        if let Assigned::Work(work, _) = &one.assigned {
            metrics.claimed.inc_by(work.len() as u64);
        }
        let completed = one.verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Committed(_)));
        metrics.completed.inc_by(completed.count() as u64);
    }
}

/// Runs one transaction. If it fails for another reason than an outage, each agent is tried alone, so that one
/// does not fail for another.
async fn run(
    Dependencies { store, cluster_clock, retry, publisher, .. }: &Dependencies,
    batch: &[Arc<Exchange>],
) -> Result<Vec<Exchanged>, Arc<StoreError>> {
    let together = retry.transient(|| store.exchange(batch, cluster_clock.moment())).await;
    match together {
        Err(error) if !error.is_transient() && batch.len() > 1 => {
            tracing::error!(%error, agents = batch.len(), "an exchange failed; trying each agent alone");
        }
        outcome => return outcome.map(|changed| publisher.publish(changed)).map_err(Arc::new),
    }
    let mut all = Vec::with_capacity(batch.len());
    for one in batch {
        let alone =
            retry.transient(|| store.exchange(std::slice::from_ref(one), cluster_clock.moment())).await;
        match alone {
            Ok(changed) => all.extend(publisher.publish(changed)),
            Err(error) => {
                // During an outage, the requests themselves report it.
                if !error.is_transient() {
                    tracing::error!(%error, worker = one.worker.0, "the exchange of one agent failed");
                }
                return Err(Arc::new(error));
            }
        }
    }
    Ok(all)
}
