//! Where agents hand in what ended and are given what waits, many in one transaction.
//!
//! Nothing is delayed in order to be collected: while one transaction is under way, whatever arrives
//! gathers for the next. So a single agent is served at once, and a crowd at the cost of a few.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mitosis_domain::crash;
use mitosis_domain::ids::WorkerId;
use mitosis_domain::task::LeaseKey;
use mitosis_store::StoreError;
use mitosis_store::ops::dispatch::{Class, Exchange, ExchangeOutcome, Exchanged, Given};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::line::{Line, Ring, Waiting};
use super::patience::patiently;
use crate::app::App;

/// Transactions under way at once. With more, batches only get smaller and wait for each other's workers.
const AT_ONCE: usize = 2;
/// Attempts and tasks in one transaction, beyond which no further agent is added.
const BATCH: usize = 512;
/// Agents in one transaction.
const AGENTS: usize = 128;
/// How long to rely on the bell: a hint may get lost between coordinators.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How long to rely on what an agent was seen to be allowed, should the hint that it changed get lost.
const TRUSTED: Duration = Duration::from_secs(60);

type Answer = Result<Exchanged, Arc<StoreError>>;

/// The way to the desk.
#[derive(Debug, Clone)]
pub(crate) struct Desk(mpsc::UnboundedSender<Ask>);

#[derive(Debug)]
struct Ask {
    exchange: Exchange,
    /// Waits for as long as it takes to be given something.
    waits: bool,
    reply: oneshot::Sender<Answer>,
}

impl Desk {
    /// A desk that nobody sits at yet, and what comes in.
    pub(crate) fn new() -> (Self, Inbox) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), Inbox(receiver))
    }

    /// Hands in and takes; answers at once, whether there is something or not.
    pub(crate) async fn exchange(&self, exchange: Exchange) -> Answer {
        self.ask(exchange, false).await
    }

    /// Takes tasks as soon as there are some. When it is given up, it leaves nothing behind: what it was
    /// given meanwhile goes back.
    pub(crate) async fn wait_for_work(&self, worker: WorkerId, want: usize, token: i64) -> Answer {
        let exchange = Exchange { worker, ended: Vec::new(), returned: Vec::new(), want, token };
        self.ask(exchange, true).await
    }

    async fn ask(&self, exchange: Exchange, waits: bool) -> Answer {
        let (reply, answer) = oneshot::channel();
        if self.0.send(Ask { exchange, waits, reply }).is_err() {
            return Err(Arc::new(StoreError::Closed));
        }
        answer.await.unwrap_or_else(|_| Err(Arc::new(StoreError::Closed)))
    }
}

/// What comes in at a desk.
pub(crate) struct Inbox(mpsc::UnboundedReceiver<Ask>);

/// Serves the desk until the application stops.
pub(crate) async fn serve(app: App, mut inbox: Inbox) {
    let mut bell = app.bell.listen();
    let mut clerk = Clerk {
        incoming: VecDeque::new(),
        line: Line::new(),
        seen: Seen::default(),
        running: JoinSet::new(),
    };
    let mut look_again = tokio::time::interval(LOOK_AGAIN);
    loop {
        tokio::select! {
            ask = inbox.0.recv() => match ask {
                Some(ask) => clerk.take(ask),
                None => return,
            },
            Some(ended) = clerk.running.join_next() => match ended {
                Ok(ended) => clerk.conclude(&app, ended),
                Err(error) => tracing::error!(%error, "an exchange failed"),
            },
            () = bell.heard() => clerk.hear(),
            _ = look_again.tick() => clerk.look_again(),
            () = app.stopping.cancelled() => return clerk.close(inbox).await,
        }
        while let Ok(ask) = inbox.0.try_recv() {
            clerk.take(ask);
        }
        clerk.start(&app);
    }
}

/// Who is to be served, and who is.
struct Clerk {
    incoming: VecDeque<Ask>,
    line: Line<Ask>,
    seen: Seen,
    running: JoinSet<Ended>,
}

/// What workers may run, as they were last seen; it holds until the bell rings. A crowd that asks again and
/// again is not looked up each time.
#[derive(Debug)]
struct Seen {
    classes: HashMap<WorkerId, Class>,
    since: Instant,
}

impl Default for Seen {
    fn default() -> Self {
        Self { classes: HashMap::new(), since: Instant::now() }
    }
}

impl Seen {
    fn class(&mut self, worker: WorkerId) -> Option<Class> {
        if self.since.elapsed() > TRUSTED {
            self.forget();
        }
        self.classes.get(&worker).copied()
    }

    fn note(&mut self, worker: WorkerId, class: Class) {
        self.classes.insert(worker, class);
    }

    fn forget(&mut self) {
        self.classes.clear();
        self.since = Instant::now();
    }
}

/// A transaction that is over.
struct Ended {
    asked: Ring,
    asks: Vec<Ask>,
    outcome: Result<ExchangeOutcome, Arc<StoreError>>,
}

impl Clerk {
    fn take(&mut self, ask: Ask) {
        match ask.waits {
            true => {
                let class = self.seen.class(ask.exchange.worker);
                self.line.join(ask, class);
            }
            false => self.incoming.push_back(ask),
        }
    }

    /// Something became Ready, or somebody may run something else now.
    fn hear(&mut self) {
        self.seen.forget();
        self.line.ring();
    }

    /// Lets go of those who hung up, and asks again for the others.
    fn look_again(&mut self) {
        self.line.retain(|ask| !ask.reply.is_closed());
        if !self.line.is_empty() {
            self.line.ring();
        }
    }

    /// Starts transactions for whoever is there, as many as may be under way.
    fn start(&mut self, app: &App) {
        while self.running.len() < AT_ONCE {
            let asks = self.next_batch();
            if asks.is_empty() {
                return;
            }
            let (app, asked) = (app.clone(), self.line.now());
            self.running.spawn(async move {
                let batch: Vec<Exchange> = asks.iter().map(|ask| ask.exchange.clone()).collect();
                let outcome = run(&app, &batch).await;
                Ended { asked, asks, outcome }
            });
        }
    }

    /// Those who bring something first, then those who only wait. No agent is in a batch twice: two of its
    /// requests may say the same.
    fn next_batch(&mut self) -> Vec<Ask> {
        let (mut batch, mut load, mut workers) = (Vec::new(), 0, HashSet::new());
        let mut later = VecDeque::new();
        while load < BATCH
            && batch.len() < AGENTS
            && let Some(ask) = self.incoming.pop_front()
        {
            if !workers.insert(ask.exchange.worker) {
                later.push_back(ask);
                continue;
            }
            load += ask.load();
            batch.push(ask);
        }
        later.append(&mut self.incoming);
        self.incoming = later;
        while load < BATCH
            && batch.len() < AGENTS
            && let Some(Waiting { who: ask, class }) = self.line.next()
        {
            if ask.reply.is_closed() {
                continue;
            }
            if !workers.insert(ask.exchange.worker) {
                self.line.wait_on(ask, class, self.line.now());
                continue;
            }
            load += ask.load();
            batch.push(ask);
        }
        batch
    }

    /// Tells each what it was given; those who wait and were given nothing wait on.
    fn conclude(&mut self, app: &App, ended: Ended) {
        let Ended { asked, asks, outcome } = ended;
        if asks.iter().any(|ask| !ask.exchange.ended.is_empty()) {
            crash::point("complete.commit:after");
        }
        if asks.iter().any(|ask| ask.exchange.want > 0) {
            crash::point("claim.commit:after");
        }
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                for ask in asks {
                    // Whoever asked may have hung up meanwhile.
                    let _ = ask.reply.send(Err(error.clone()));
                }
                return;
            }
        };
        if outcome.made_ready {
            app.bell.ring();
        }
        for (ask, exchanged) in asks.into_iter().zip(outcome.each) {
            let class = self.note_class(&ask, &exchanged, asked);
            match &exchanged.given {
                Given::Work(work, _) if work.is_empty() && ask.waits => self.line.wait_on(ask, class, asked),
                _ => self.tell(ask, exchanged),
            }
        }
    }

    /// Remembers that a class got less than it wanted.
    fn note_class(&mut self, ask: &Ask, exchanged: &Exchanged, asked: Ring) -> Option<Class> {
        let Given::Work(work, class) = &exchanged.given else { return None };
        if work.len() < ask.exchange.want {
            self.line.exhausted(*class, asked);
        }
        if asked == self.line.now() {
            self.seen.note(ask.exchange.worker, *class);
        }
        Some(*class)
    }

    /// What somebody was given who hung up goes back at once.
    fn tell(&mut self, ask: Ask, exchanged: Exchanged) {
        let Err(Ok(unheard)) = ask.reply.send(Ok(exchanged)) else { return };
        let Given::Work(work, _) = unheard.given else { return };
        if ask.waits && !work.is_empty() {
            let returned: Vec<LeaseKey> = work.iter().map(|work| work.lease).collect();
            let exchange = Exchange { returned, want: 0, ..ask.exchange };
            self.incoming.push_back(Ask { exchange, waits: false, reply: oneshot::channel().0 });
        }
    }

    /// Lets what is under way end, and turns away whoever is left.
    async fn close(mut self, mut inbox: Inbox) {
        inbox.0.close();
        while let Some(ended) = self.running.join_next().await {
            if let Ok(Ended { asks, outcome: Ok(outcome), .. }) = ended {
                for (ask, exchanged) in asks.into_iter().zip(outcome.each) {
                    let _ = ask.reply.send(Ok(exchanged));
                }
            }
        }
    }
}

impl Ask {
    fn load(&self) -> usize {
        let Exchange { ended, returned, want, .. } = &self.exchange;
        1 + ended.len() + returned.len() + want
    }
}

/// One transaction. Should something in it be wrong, each agent is tried alone, so that nobody suffers for
/// another.
async fn run(app: &App, batch: &[Exchange]) -> Result<ExchangeOutcome, Arc<StoreError>> {
    let together = patiently(app, || app.store.exchange(batch, app.moment())).await;
    match together {
        Err(error) if !error.is_transient() && batch.len() > 1 => {
            tracing::error!(%error, agents = batch.len(), "an exchange failed; trying each agent alone");
        }
        outcome => return outcome.map_err(Arc::new),
    }
    let mut all = ExchangeOutcome { each: Vec::with_capacity(batch.len()), made_ready: false };
    for one in batch {
        let alone = patiently(app, || app.store.exchange(std::slice::from_ref(one), app.moment())).await;
        match alone {
            Ok(outcome) => {
                all.each.extend(outcome.each);
                all.made_ready |= outcome.made_ready;
            }
            Err(error) => {
                // While the database is away, the requests themselves say so.
                if !error.is_transient() {
                    tracing::error!(%error, worker = one.worker.0, "the exchange of one agent failed");
                }
                return Err(Arc::new(error));
            }
        }
    }
    Ok(all)
}
