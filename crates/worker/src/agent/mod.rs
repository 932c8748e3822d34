//! The native protocol: one registration, many slots. Tasks come ahead of time and in batches, results
//! go out in batches, and one held request brings whatever can't wait.
//!
//! One loop owns everything in hand; each arm of it is a named function.

mod hand;
mod line;
mod slots;
mod watchers;
mod watching;

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mitosis_client::{ClientError, LeaseTerms};
use mitosis_domain::crash;
use mitosis_protocol::agent::{AttemptRef, PollReply, PollRequest, ReportBatch, ReportBatchReply};
use mitosis_protocol::{TaskResultMessage, Uuid};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::insist::Waits;
use crate::live::Herald;
use crate::live::reported::{Cell, Outbox};
use crate::os::boot_clock::BootInstant;
use crate::run::{Lost, Place};
use crate::session::{Farewell, Session};
use hand::{Hand, Word, attempt, key, named};
use slots::{Left, SlotEvent, Slots};
use watchers::{Watched, Watchers};

/// Longest time for which a poll is held.
const MOST_HOLD: Duration = Duration::from_secs(20);
/// Shortest time for which a poll is held: coordinators that miss a worker within seconds get heartbeats besides.
const LEAST_HOLD: Duration = Duration::from_secs(1);
/// A poll that asks for nothing waits this long: a short task has ended by then, and a place is free.
const BREATH: Duration = Duration::from_millis(40);
/// An answer within this time was not held.
const AT_ONCE: Duration = Duration::from_millis(10);
/// States wait so long for others, and for the end of a short task.
const GATHER: Duration = Duration::from_millis(20);
/// Tasks that are watched before they start; more are asked for again.
const MOST_WATCHED: usize = 1_000;
/// How long the last results may take when the agent is asked to stop.
const LAST_WORD: Duration = Duration::from_secs(3);

type Calling<T> = Pin<Box<dyn Future<Output = Result<T, ClientError>> + Send>>;

/// A poll under way.
struct Polling {
    call: Calling<PollReply>,
    sent: BootInstant,
    want: usize,
}

/// An agent at work.
struct Agent<'a> {
    session: Arc<Session>,
    hand: Hand,
    slots: Slots,
    watchers: Watchers,
    polling: Option<Polling>,
    /// Not before this moment, after a failure.
    poll_at: Instant,
    /// Not before this moment, while nothing is wanted.
    rest_until: Instant,
    reporting: Option<Calling<ReportBatchReply>>,
    report_at: Instant,
    /// A reply may have been lost.
    in_doubt: bool,
    /// The number of the last reply that told something.
    heard: u64,
    /// The lease is over.
    given_up: bool,
    /// Which tasks run in which slot, by their global identity.
    names: Vec<Option<Uuid>>,
    /// States that have to be reported, and where the task of each slot stands.
    outbox: Arc<Outbox>,
    cells: Vec<Arc<Cell>>,
    /// Tasks that are watched and did not start yet.
    watched: HashSet<Uuid>,
    /// Tasks whose output somebody waits for and that have watched others, and did not start yet.
    followed: HashSet<Uuid>,
    /// States are to be reported at this moment, should nothing else be before.
    tell_at: Option<Instant>,
    has_room: watch::Receiver<bool>,
    poll_waits: Waits<'a>,
    report_waits: Waits<'a>,
}

impl Session {
    /// Serves as an agent with all slots until there is a reason to end. Whatever runs then is killed.
    pub(crate) async fn serve_as_agent(
        self: &Arc<Self>,
        mut places: Vec<Place>,
        stop: &CancellationToken,
    ) -> Farewell {
        let entropy = self.settings.entropy.clone();
        let slots = places.len();
        let now = Instant::now();
        let outbox = Arc::new(Outbox::default());
        let cells: Vec<_> = places.iter().map(|_| Arc::new(Cell::new(outbox.clone()))).collect();
        for (place, cell) in places.iter_mut().zip(&cells) {
            place.herald = Herald::Report(cell.clone());
        }
        let mut agent = Agent {
            session: self.clone(),
            hand: Hand::new(slots),
            slots: Slots::open(self, places),
            watchers: Watchers::new(self.clone(), outbox.clone()),
            polling: None,
            poll_at: now,
            rest_until: now,
            reporting: None,
            report_at: now,
            in_doubt: true,
            heard: 0,
            given_up: false,
            names: vec![None; slots],
            outbox,
            cells,
            watched: HashSet::new(),
            followed: HashSet::new(),
            tell_at: None,
            has_room: self.has_room.subscribe(),
            poll_waits: Waits::new(&*entropy),
            report_waits: Waits::new(&*entropy),
        };
        let farewell = tokio::select! {
            farewell = agent.work() => farewell,
            refused = self.give_signs_of_life() => self.farewell(&refused),
            refused = self.keep_token_good() => self.farewell(&refused),
            never = self.watch_scratch() => match never {},
            () = stop.cancelled() => Farewell::Stopped,
        };
        let Agent { mut hand, slots, .. } = agent;
        slots.close().await;
        if farewell == Farewell::Stopped {
            self.say_the_last_word(&mut hand).await;
        }
        farewell
    }

    /// Hands in what ended a moment before the agent was asked to stop.
    async fn say_the_last_word(&self, hand: &mut Hand) {
        let states = hand.unanswered();
        if hand.has_to_report() {
            let report = hand.report(0, states);
            let said = tokio::time::timeout(LAST_WORD, self.client.report_batch(&report)).await;
            if !matches!(said, Ok(Ok(_))) {
                tracing::warn!(results = report.ended.len(), "the last results could not be handed in");
            }
        }
    }
}

impl Agent<'_> {
    async fn work(&mut self) -> Farewell {
        loop {
            self.start_what_can_start();
            let turn_is_over = self.next_turn();
            let patience = self.hand.patience_ends();
            let event = tokio::select! {
                event = self.slots.next() => Event::Slot(event),
                watched = self.watchers.next() => Event::Watched(watched),
                reply = answer(&mut self.reporting) => Event::Reported(reply),
                reply = answer_poll(&mut self.polling) => Event::Polled(reply),
                () = sleep_until(turn_is_over) => Event::Look,
                () = until(patience) => Event::Impatient,
                () = self.outbox.filled() => Event::States,
                Ok(()) = self.has_room.changed() => Event::Room,
                () = self.session.settings.drain.cancelled(), if !self.hand.is_draining() => Event::Drain,
            };
            let end = match event {
                Event::Slot(SlotEvent::Left(Left { outcome: Err(Lost::Unknown), .. }))
                | Event::Watched(Watched { outcome: Err(Lost::Unknown), .. }) => {
                    Some(self.session.farewell_after_refusal().await)
                }
                Event::Slot(SlotEvent::Left(left)) => {
                    self.left(left);
                    None
                }
                Event::Slot(SlotEvent::Ready(slot)) => {
                    self.hand.slot_is_ready(slot);
                    None
                }
                Event::Watched(watched) => {
                    self.has_watched(watched);
                    None
                }
                Event::Reported(reply) => self.reported(reply),
                Event::Polled(reply) => self.polled(reply),
                Event::Impatient => {
                    self.hand.lose_patience(Instant::now());
                    None
                }
                Event::Drain => {
                    tracing::info!("ending with what runs");
                    self.drain();
                    None
                }
                Event::States => {
                    self.tell_at.get_or_insert(Instant::now() + GATHER);
                    None
                }
                Event::Room => {
                    self.room_changed();
                    None
                }
                Event::Look => None,
            };
            if let Some(farewell) = end {
                return farewell;
            }
            if self.given_up && self.hand.has_told_all() {
                return Farewell::GivenUp;
            }
            if self.session.settings.drain.is_cancelled() && self.hand.is_empty() {
                return Farewell::Stopped;
            }
        }
    }

    /// Fills free slots, then sees to it that what has to be said is being said.
    fn start_what_can_start(&mut self) {
        let now = Instant::now();
        if !*self.has_room.borrow() {
            self.hand.return_waiting();
        }
        for task in self.hand.take_watching() {
            let is_watched = self.watched.remove(&task.task.uuid);
            self.watchers.start(task, is_watched);
        }
        while let Some((slot, task)) = self.hand.start(now) {
            let uuid = task.task.uuid;
            self.names[slot] = Some(uuid);
            self.cells[slot].begin(self.watched.remove(&uuid));
            self.slots.start(slot, task);
            if self.followed.remove(&uuid) {
                self.slots.order(slot, |orders| orders.followed = true);
            }
        }
        let asked = self.polling.as_ref().map_or(0, |polling| polling.want);
        let tells = self.hand.can_report() && self.tell_at.is_some_and(|at| now >= at);
        if (self.hand.has_to_report() || tells) && now >= self.report_at {
            self.tell_at = None;
            let report = self.hand.report(self.want(asked, now), self.outbox.take());
            self.reporting = Some(report_call(self.session.clone(), report));
        }
        self.poll(now);
    }

    fn want(&self, asked: usize, now: Instant) -> usize {
        if self.given_up || !*self.has_room.borrow() { 0 } else { self.hand.want(asked, now) }
    }

    /// A poll under way asks for what is not wanted any more, or for less than is.
    fn room_changed(&mut self) {
        self.polling = None;
        self.in_doubt = true;
    }

    /// Keeps a poll under way that asks for what is wanted. One that asks for nothing is given up when
    /// something is wanted and no report is under way that asks for it.
    fn poll(&mut self, now: Instant) {
        let want = if self.reporting.is_some() { 0 } else { self.want(0, now) };
        if self.polling.as_ref().is_some_and(|polling| polling.want == 0)
            && want > 0
            && !self.hand.has_to_report()
        {
            self.polling = None;
        }
        let rests = want == 0 && now < self.rest_until;
        if self.polling.is_some() || rests || now < self.poll_at {
            return;
        }
        // What a report under way brings can't be told from what was lost.
        let resync = self.in_doubt && self.reporting.is_none();
        let request = PollRequest {
            want: u32::try_from(want).unwrap_or(u32::MAX),
            held: self.hand.held(),
            draining: self.hand.is_draining(),
            resync,
            tells_states: true,
            heard: Some(self.heard),
            wait: Some(self.hold()),
        };
        if resync {
            self.in_doubt = false;
        }
        let call = poll_call(self.session.clone(), request);
        self.polling = Some(Polling { call, sent: BootInstant::now(), want });
    }

    /// How long to hold a poll. Each renews the lease when it begins, so the next one has to come in time.
    fn hold(&self) -> Duration {
        (self.session.lease.missed_after() / 3).clamp(LEAST_HOLD, MOST_HOLD)
    }

    /// When to look again whether something has to be sent.
    fn next_turn(&self) -> Instant {
        let now = Instant::now();
        let mut next = now + MOST_HOLD;
        if self.polling.is_none() {
            next = next.min(self.poll_at.max(self.rest_until));
        }
        if let Some(rest_ends) = self.hand.rest_ends().filter(|end| *end > now) {
            next = next.min(rest_ends);
        }
        if self.hand.has_to_report() {
            next = next.min(self.report_at);
        }
        if let Some(tell_at) = self.tell_at
            && self.hand.can_report()
        {
            next = next.min(tell_at.max(self.report_at));
        }
        next
    }

    fn left(&mut self, Left { key, outcome }: Left) {
        crash::point("worker.report:before");
        let now = Instant::now();
        let ended = match outcome {
            Ok(ended) => Some(ended),
            Err(Lost::NotStarted) => {
                self.hand.was_not_started(key);
                return;
            }
            Err(Lost::Refused | Lost::Overdue) => {
                self.hand.was_refused(key);
                None
            }
            // The one who is not known has been asked about before.
            Err(Lost::TakenBack | Lost::Unknown) => None,
            Err(Lost::GivenUp) => {
                self.given_up = true;
                None
            }
        };
        self.hand.left(attempt(&key), ended, now);
    }

    /// A task that watched another one gets the next free slot, if that came far enough.
    fn has_watched(&mut self, Watched { mut task, outcome }: Watched) {
        let Some(interest) = self.watchers.end(named(&task)) else { return };
        let uuid = task.task.uuid;
        match outcome {
            Ok(true) => {
                task.task.spec.watch = None;
                self.hand.has_watched(task, Instant::now());
                if interest.is_watched {
                    self.watched.insert(uuid);
                }
                if interest.is_followed && self.followed.len() < MOST_WATCHED {
                    self.followed.insert(uuid);
                }
            }
            Ok(false) => self.hand.ends_unstarted(key(&task), TaskResultMessage::WatchTimeout),
            Err(_) => self.hand.was_refused(key(&task)),
        }
    }

    fn drain(&mut self) {
        self.hand.drain();
        self.watchers.end_all();
    }

    fn reported(&mut self, reply: Result<ReportBatchReply, ClientError>) -> Option<Farewell> {
        self.reporting = None;
        match reply {
            Ok(reply) => {
                crash::point("worker.report:after");
                self.report_waits.reset();
                self.hand.answered();
                let stale = reply.verdicts.iter().filter(|verdict| **verdict == STALE).count();
                if stale > 0 {
                    tracing::warn!(stale, "tasks had been taken back; their results are not wanted any more");
                }
                self.take(reply.tasks, reply.drain);
            }
            Err(error) if error.status() == Some(401) => return Some(self.session.farewell(&error)),
            Err(error) if error.is_transient() => {
                self.outbox.put_back(self.hand.unanswered());
                self.in_doubt = true;
                self.report_at = Instant::now() + self.report_waits.after(&error, "reporting");
            }
            Err(error) => {
                tracing::error!(%error, "the coordinator does not understand a report; leaving it out");
                self.hand.answered();
            }
        }
        None
    }

    fn polled(&mut self, reply: (BootInstant, Result<PollReply, ClientError>)) -> Option<Farewell> {
        self.polling = None;
        let (sent, reply) = reply;
        match reply {
            Ok(reply) => {
                match sent.elapsed() < AT_ONCE && reply.is_empty() {
                    // It was not held: the coordinator is about to stop.
                    true => self.poll_at = Instant::now() + self.poll_waits.next_wait(),
                    false => self.poll_waits.reset(),
                }
                if let Some(terms) = terms(&reply) {
                    self.session.lease.renew(sent, terms);
                }
                self.heard = reply.number.unwrap_or(self.heard);
                self.hear(&reply.dropped, Word::Dropped);
                self.hear(&reply.stop, Word::Stop);
                for task in reply.followed {
                    self.follow(task);
                }
                self.outbox.want_all(reply.announce);
                for task in reply.watched {
                    self.watch(task);
                }
                self.take(reply.tasks, reply.drain);
                self.rest_until = Instant::now() + BREATH;
            }
            Err(error) if error.status() == Some(401) => return Some(self.session.farewell(&error)),
            Err(error) => {
                self.in_doubt = true;
                self.poll_at = Instant::now() + self.poll_waits.after(&error, "asking for tasks");
            }
        }
        None
    }

    fn take(&mut self, tasks: Vec<mitosis_protocol::agent::AssignedTask>, drain: bool) {
        if drain && !self.hand.is_draining() {
            tracing::info!("told to end with what runs");
            self.drain();
        }
        self.hand.assign(tasks, Instant::now());
    }

    fn hear(&mut self, attempts: &[AttemptRef], word: Word) {
        for attempt in attempts {
            self.watchers.end(*attempt);
            if let Some(slot) = self.hand.hear(*attempt, word) {
                self.slots.order(slot, |orders| match word {
                    Word::Dropped => orders.dropped = true,
                    Word::Stop => orders.stop = true,
                });
            }
        }
    }

    fn follow(&mut self, task: Uuid) {
        match self.names.iter().position(|name| *name == Some(task)) {
            Some(slot) => self.slots.order(slot, |orders| orders.followed = true),
            None => self.watchers.follow(task),
        }
    }

    /// Somebody watches a task: in a slot, or still waiting for one.
    fn watch(&mut self, task: Uuid) {
        match self.names.iter().position(|name| *name == Some(task)) {
            Some(slot) => self.cells[slot].watch(task),
            None if self.watchers.watch(task) => {}
            None if self.watched.len() < MOST_WATCHED => {
                self.watched.insert(task);
            }
            None => {}
        }
    }
}

const STALE: mitosis_protocol::agent::AttemptVerdict = mitosis_protocol::agent::AttemptVerdict::Stale;

/// What an agent waits for.
enum Event {
    Slot(SlotEvent),
    Watched(Watched),
    Reported(Result<ReportBatchReply, ClientError>),
    Polled((BootInstant, Result<PollReply, ClientError>)),
    States,
    Impatient,
    /// The scratch directory has become full, or usable again.
    Room,
    Drain,
    Look,
}

/// The terms that a poll brings. Older coordinators of ours give a worker up as soon as they miss it.
fn terms(reply: &PollReply) -> Option<LeaseTerms> {
    let lease = reply.lease?;
    let missed_after = reply.missed_after.unwrap_or(lease);
    Some(LeaseTerms { lease, missed_after, gives_reasons: reply.missed_after.is_some() })
}

fn report_call(session: Arc<Session>, report: ReportBatch) -> Calling<ReportBatchReply> {
    Box::pin(async move { session.client.report_batch(&report).await })
}

fn poll_call(session: Arc<Session>, request: PollRequest) -> Calling<PollReply> {
    Box::pin(async move { session.client.poll(&request).await })
}

async fn answer<T>(calling: &mut Option<Calling<T>>) -> Result<T, ClientError> {
    match calling {
        Some(call) => call.await,
        None => std::future::pending().await,
    }
}

async fn answer_poll(polling: &mut Option<Polling>) -> (BootInstant, Result<PollReply, ClientError>) {
    match polling {
        Some(polling) => (polling.sent, (&mut polling.call).await),
        None => std::future::pending().await,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
