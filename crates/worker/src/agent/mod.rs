//! An agent of the native protocol: one registration with many slots. It prefetches tasks in batches, reports
//! results in batches, and keeps one long poll open for everything that is urgent.
//!
//! One loop owns the whole state; each event has a named method.

mod prefetch;
mod slots;
mod state;
mod watch_runner;
mod watch_state;

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mitosis_client::{ClientError, LeaseTerms};
use mitosis_domain::failpoints;
use mitosis_protocol::agent::{AttemptRef, PollReply, PollRequest, ReportBatch, ReportBatchReply};
use mitosis_protocol::{TaskResultMessage, Uuid};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::exec_state::StateReporter;
use crate::exec_state::state_queue::{StateCell, StateQueue};
use crate::os::boot_clock::BootInstant;
use crate::retry::BackoffTimer;
use crate::run::{AttemptError, Directive, SlotContext};
use crate::session::{Session, SessionEnd};
use slots::{SlotEvent, SlotExit, Slots};
use state::{AgentState, attempt, attempt_ref, key};
use watch_runner::{WatchRunner, Watched};

/// The maximum time for which the coordinator may hold a poll.
const MAX_LONG_POLL: Duration = Duration::from_secs(20);
/// The minimum time for which a poll is held. With a shorter missed time, the worker also sends heartbeats.
const MIN_LONG_POLL: Duration = Duration::from_secs(1);
/// Delay before a poll that requests no tasks: by then, a short task has ended and a slot is free.
const IDLE_POLL_DELAY: Duration = Duration::from_millis(40);
/// A reply within this time was not held by the coordinator.
const UNHELD_LIMIT: Duration = Duration::from_millis(10);
/// How long task states wait for others, and for the end of a short task, before they are reported.
const STATE_BATCH_DELAY: Duration = Duration::from_millis(20);
/// The maximum number of tasks that are watched before they start. The coordinator asks again for the others.
const MAX_WATCHED: usize = 1_000;
/// Time limit of the final report when the agent stops.
const FINAL_REPORT_TIMEOUT: Duration = Duration::from_secs(3);

type Call<T> = Pin<Box<dyn Future<Output = Result<T, ClientError>> + Send>>;

/// A poll in flight.
struct PendingPoll {
    call: Call<PollReply>,
    sent: BootInstant,
    want: usize,
    has_room: bool,
}

/// A running agent.
struct Agent<'a> {
    session: Arc<Session>,
    state: AgentState,
    slots: Slots,
    watchers: WatchRunner,
    polling: Option<PendingPoll>,
    /// No poll is sent earlier than this, after a failure.
    poll_at: Instant,
    /// No poll is sent earlier than this while no tasks are wanted.
    rest_until: Instant,
    reporting: Option<Call<ReportBatchReply>>,
    report_at: Instant,
    /// Whether a reply may have been lost.
    needs_resync: bool,
    /// The number of the last reply that contained a message.
    last_reply: u64,
    /// Whether the lease of the registration has expired.
    lease_expired: bool,
    /// The task in each slot, by its UUID.
    slot_tasks: Vec<Option<Uuid>>,
    /// Task states to report; each cell holds the state of the task in one slot.
    states: Arc<StateQueue>,
    cells: Vec<Arc<StateCell>>,
    /// Tasks that are watched and have not started yet.
    watched: HashSet<Uuid>,
    /// Followed tasks that have watched another task and have not started yet.
    followed: HashSet<Uuid>,
    /// When to report task states, unless another report is sent before.
    report_states_at: Option<Instant>,
    has_space: watch::Receiver<bool>,
    poll_backoff: BackoffTimer<'a>,
    report_backoff: BackoffTimer<'a>,
}

impl Session {
    /// Serves as an agent with all slots until the session ends. Tasks that are still running are then killed.
    pub(crate) async fn serve_as_agent(
        self: &Arc<Self>,
        mut contexts: Vec<SlotContext>,
        stop: &CancellationToken,
    ) -> SessionEnd {
        let entropy = self.context.settings.entropy.clone();
        let slots = contexts.len();
        let inventory = self.context.settings.inventory();
        let now = Instant::now();
        let states = Arc::new(StateQueue::default());
        let cells: Vec<_> = contexts.iter().map(|_| Arc::new(StateCell::new(states.clone()))).collect();
        for (context, cell) in contexts.iter_mut().zip(&cells) {
            context.reporter = StateReporter::Report(cell.clone());
        }
        let mut agent = Agent {
            session: self.clone(),
            state: AgentState::new(inventory),
            slots: Slots::open(self, contexts),
            watchers: WatchRunner::new(self.clone(), states.clone()),
            polling: None,
            poll_at: now,
            rest_until: now,
            reporting: None,
            report_at: now,
            needs_resync: true,
            last_reply: 0,
            lease_expired: false,
            slot_tasks: vec![None; slots],
            states,
            cells,
            watched: HashSet::new(),
            followed: HashSet::new(),
            report_states_at: None,
            has_space: self.has_space.subscribe(),
            poll_backoff: BackoffTimer::new(&*entropy),
            report_backoff: BackoffTimer::new(&*entropy),
        };
        let session_end = tokio::select! {
            session_end = agent.work() => session_end,
            refused = self.send_heartbeats() => self.session_end(&refused),
            refused = self.keep_token_valid() => self.session_end(&refused),
            never = self.watch_disk_space() => match never {},
            () = stop.cancelled() => SessionEnd::Stopped,
        };
        let Agent { mut state, slots, .. } = agent;
        slots.close().await;
        if session_end == SessionEnd::Stopped {
            self.send_final_report(&mut state).await;
        }
        session_end
    }

    /// Reports tasks that ended just before the agent was stopped.
    async fn send_final_report(&self, state: &mut AgentState) {
        let states = state.report_failed();
        if state.has_to_report() {
            let report = state.report(0, false, states);
            let reported =
                tokio::time::timeout(FINAL_REPORT_TIMEOUT, self.context.client.report_batch(&report)).await;
            if !matches!(reported, Ok(Ok(_))) {
                tracing::warn!(results = report.ended.len(), "failed to report the last results");
            }
        }
    }
}

impl Agent<'_> {
    async fn work(&mut self) -> SessionEnd {
        loop {
            self.start_ready();
            let turn_ends = self.next_turn();
            let prefetch_deadline = self.state.prefetch_deadline();
            let event = tokio::select! {
                event = self.slots.next() => Event::Slot(event),
                watched = self.watchers.next() => Event::Watched(watched),
                reply = answer(&mut self.reporting) => Event::Reported(reply),
                reply = answer_poll(&mut self.polling) => Event::Polled(reply),
                () = sleep_until(turn_ends) => Event::Turn,
                () = until(prefetch_deadline) => Event::PrefetchExpired,
                () = self.states.filled() => Event::States,
                Ok(()) = self.has_space.changed() => Event::DiskSpace,
                () = self.session.context.settings.drain.cancelled(), if !self.state.is_draining() => Event::Drain,
            };
            let end = match event {
                Event::Slot(SlotEvent::Exited(SlotExit {
                    outcome: Err(AttemptError::WorkerUnknown),
                    ..
                }))
                | Event::Watched(Watched { outcome: Err(AttemptError::WorkerUnknown), .. }) => {
                    Some(self.session.session_end_after_refusal().await)
                }
                Event::Slot(SlotEvent::Exited(exit)) => {
                    self.slot_exited(exit);
                    None
                }
                Event::Slot(SlotEvent::Ready(slot)) => {
                    self.state.slot_ready(slot);
                    None
                }
                Event::Watched(watched) => {
                    self.watch_completed(watched);
                    None
                }
                Event::Reported(reply) => self.reported(reply),
                Event::Polled(reply) => self.polled(reply),
                Event::PrefetchExpired => {
                    self.state.expire_prefetched(Instant::now());
                    None
                }
                Event::Drain => {
                    tracing::info!("draining: no more tasks are accepted");
                    self.drain();
                    None
                }
                Event::States => {
                    self.report_states_at.get_or_insert(Instant::now() + STATE_BATCH_DELAY);
                    None
                }
                Event::DiskSpace => {
                    self.disk_space_changed();
                    None
                }
                Event::Turn => None,
            };
            if let Some(session_end) = end {
                return session_end;
            }
            if self.lease_expired && self.state.has_reported_all() {
                return SessionEnd::Reregister;
            }
            if self.session.context.settings.drain.is_cancelled() && self.state.is_empty() {
                return SessionEnd::Stopped;
            }
        }
    }

    /// Fills free slots, then sends the reports and polls that are due.
    fn start_ready(&mut self) {
        let now = Instant::now();
        if !*self.has_space.borrow() {
            self.state.return_prefetched();
        }
        for task in self.state.take_watching() {
            let is_watched = self.watched.remove(&task.task.uuid);
            self.watchers.start(task, is_watched);
        }
        while let Some((slot, task, granted)) = self.state.start(now) {
            let uuid = task.task.uuid;
            self.slot_tasks[slot] = Some(uuid);
            self.cells[slot].begin(self.watched.remove(&uuid));
            self.slots.start(slot, task, granted);
            if self.followed.remove(&uuid) {
                self.slots.control(slot, |control| control.is_followed = true);
            }
        }
        let asked = self.polling.as_ref().map_or(0, |polling| polling.want);
        let states_due = self.state.can_report() && self.report_states_at.is_some_and(|at| now >= at);
        if (self.state.has_to_report() || states_due) && now >= self.report_at {
            self.report_states_at = None;
            let (want, has_room) = (self.want(asked, now), self.has_room(now));
            let report = self.state.report(want, has_room, self.states.take());
            self.reporting = Some(report_call(self.session.clone(), report));
        }
        self.poll(now);
    }

    fn want(&self, asked: usize, now: Instant) -> usize {
        if self.lease_expired || !*self.has_space.borrow() { 0 } else { self.state.want(asked, now) }
    }

    fn has_room(&self, now: Instant) -> bool {
        !self.lease_expired && *self.has_space.borrow() && self.state.has_room(now)
    }

    /// Abandons the poll in flight: it requests more or fewer tasks than are wanted now.
    fn disk_space_changed(&mut self) {
        self.polling = None;
        self.needs_resync = true;
    }

    /// Keeps a poll in flight that requests the wanted number of tasks. Replaces a poll that requests none when
    /// tasks are wanted and no report in flight requests them.
    fn poll(&mut self, now: Instant) {
        let (want, has_room) = match self.reporting {
            Some(_) => (0, false),
            None => (self.want(0, now), self.has_room(now)),
        };
        let asks_for_less = |polling: &PendingPoll| {
            (polling.want == 0 && want > 0) || (polling.want == 0 && !polling.has_room && has_room)
        };
        if self.polling.as_ref().is_some_and(asks_for_less) && !self.state.has_to_report() {
            self.polling = None;
        }
        let rests = want == 0 && !has_room && now < self.rest_until;
        if self.polling.is_some() || rests || now < self.poll_at {
            return;
        }
        // While a report is in flight, its tasks can't be distinguished from lost ones.
        let resync = self.needs_resync && self.reporting.is_none();
        let request = PollRequest {
            want: u32::try_from(want).unwrap_or(u32::MAX),
            has_room,
            held: self.state.held(),
            draining: self.state.is_draining(),
            resync,
            tells_states: true,
            knows_surroundings: true,
            knows_secrets: true,
            heard: Some(self.last_reply),
            wait: Some(self.hold()),
        };
        if resync {
            self.needs_resync = false;
        }
        let call = poll_call(self.session.clone(), request);
        self.polling = Some(PendingPoll { call, sent: BootInstant::now(), want, has_room });
    }

    /// How long the coordinator may hold a poll. A poll renews the lease when it starts, so the next one has to
    /// follow in time.
    fn hold(&self) -> Duration {
        (self.session.context.lease.missed_after() / 3).clamp(MIN_LONG_POLL, MAX_LONG_POLL)
    }

    /// When the loop has to check again whether anything is due.
    fn next_turn(&self) -> Instant {
        let now = Instant::now();
        let mut next = now + MAX_LONG_POLL;
        if self.polling.is_none() {
            next = next.min(self.poll_at.max(self.rest_until));
        }
        if let Some(resume_at) = self.state.resume_at().filter(|end| *end > now) {
            next = next.min(resume_at);
        }
        if self.state.has_to_report() {
            next = next.min(self.report_at);
        }
        if let Some(report_states_at) = self.report_states_at
            && self.state.can_report()
        {
            next = next.min(report_states_at.max(self.report_at));
        }
        next
    }

    fn slot_exited(&mut self, SlotExit { key, outcome }: SlotExit) {
        failpoints::point("worker.report:before");
        let now = Instant::now();
        let ended = match outcome {
            Ok(ended) => Some(ended),
            Err(AttemptError::NotStarted) => {
                self.state.start_failed(key);
                return;
            }
            Err(AttemptError::Rejected | AttemptError::RenewalOverdue) => {
                self.state.return_attempt(key);
                None
            }
            // For an unknown worker, the coordinator has been asked for the reason already.
            Err(AttemptError::Revoked | AttemptError::WorkerUnknown) => None,
            Err(AttemptError::LeaseExpired) => {
                self.lease_expired = true;
                None
            }
        };
        self.state.task_left(attempt(&key), ended, now);
    }

    /// Queues a task for the next free slot if the task that it watches has reached the target state.
    fn watch_completed(&mut self, Watched { mut task, outcome }: Watched) {
        let Some(interest) = self.watchers.end(attempt_ref(&task)) else { return };
        let uuid = task.task.uuid;
        match outcome {
            Ok(true) => {
                task.task.spec.watch = None;
                self.state.watch_completed(task, Instant::now());
                if interest.is_watched {
                    self.watched.insert(uuid);
                }
                if interest.is_followed && self.followed.len() < MAX_WATCHED {
                    self.followed.insert(uuid);
                }
            }
            Ok(false) => self.state.end_unstarted(key(&task), TaskResultMessage::WatchTimeout),
            Err(_) => self.state.return_attempt(key(&task)),
        }
    }

    fn drain(&mut self) {
        self.state.drain();
        self.watchers.end_all();
    }

    fn reported(&mut self, reply: Result<ReportBatchReply, ClientError>) -> Option<SessionEnd> {
        self.reporting = None;
        match reply {
            Ok(reply) => {
                failpoints::point("worker.report:after");
                self.report_backoff.reset();
                self.state.report_delivered();
                let stale = reply.verdicts.iter().filter(|verdict| **verdict == STALE).count();
                if stale > 0 {
                    tracing::warn!(stale, "discarded the results of tasks that were requeued");
                }
                self.take(reply.tasks, reply.drain);
            }
            Err(error) if error.status() == Some(401) => return Some(self.session.session_end(&error)),
            Err(error) if error.is_transient() => {
                self.states.requeue(self.state.report_failed());
                self.needs_resync = true;
                self.report_at = Instant::now() + self.report_backoff.after_failure(&error, "reporting");
            }
            Err(error) => {
                tracing::error!(%error, "the coordinator rejected a report; discarding it");
                self.state.report_delivered();
            }
        }
        None
    }

    fn polled(&mut self, reply: (BootInstant, Result<PollReply, ClientError>)) -> Option<SessionEnd> {
        self.polling = None;
        let (sent, reply) = reply;
        match reply {
            Ok(reply) => {
                match sent.elapsed() < UNHELD_LIMIT && reply.is_empty() {
                    // The poll was not held: the coordinator is stopping.
                    true => self.poll_at = Instant::now() + self.poll_backoff.next_wait(),
                    false => self.poll_backoff.reset(),
                }
                self.session.context.inline_limit.store(reply.inline_bytes.unwrap_or(0), Ordering::Relaxed);
                if let Some(terms) = terms(&reply) {
                    self.session.context.lease.renew(sent, terms);
                }
                self.last_reply = reply.number.unwrap_or(self.last_reply);
                self.apply_directive(&reply.dropped, Directive::Revoke);
                self.apply_directive(&reply.stop, Directive::Stop);
                for task in reply.followed {
                    self.follow(task);
                }
                self.states.want_all(reply.announce);
                for task in reply.watched {
                    self.watch(task);
                }
                self.take(reply.tasks, reply.drain);
                self.rest_until = Instant::now() + IDLE_POLL_DELAY;
            }
            Err(error) if error.status() == Some(401) => return Some(self.session.session_end(&error)),
            Err(error) => {
                self.needs_resync = true;
                self.poll_at = Instant::now() + self.poll_backoff.after_failure(&error, "asking for tasks");
            }
        }
        None
    }

    fn take(&mut self, tasks: Vec<mitosis_protocol::agent::AssignedTask>, drain: bool) {
        if drain && !self.state.is_draining() {
            tracing::info!("the coordinator drains this worker");
            self.drain();
        }
        self.state.assign(tasks, Instant::now());
    }

    fn apply_directive(&mut self, attempts: &[AttemptRef], directive: Directive) {
        for attempt in attempts {
            self.watchers.end(*attempt);
            if let Some(slot) = self.state.apply_directive(*attempt, directive) {
                self.slots
                    .control(slot, |control| control.directive = control.directive.max(Some(directive)));
            }
        }
    }

    fn follow(&mut self, task: Uuid) {
        match self.slot_tasks.iter().position(|slot_task| *slot_task == Some(task)) {
            Some(slot) => self.slots.control(slot, |control| control.is_followed = true),
            None => self.watchers.follow(task),
        }
    }

    /// Reports the states of a watched task, whether it is in a slot or still waiting for one.
    fn watch(&mut self, task: Uuid) {
        match self.slot_tasks.iter().position(|slot_task| *slot_task == Some(task)) {
            Some(slot) => self.cells[slot].watch(task),
            None if self.watchers.watch(task) => {}
            None if self.watched.len() < MAX_WATCHED => {
                self.watched.insert(task);
            }
            None => {}
        }
    }
}

const STALE: mitosis_protocol::agent::AttemptVerdict = mitosis_protocol::agent::AttemptVerdict::Stale;

/// An event that the agent handles.
#[expect(clippy::large_enum_variant, reason = "there is one value at a time")]
enum Event {
    Slot(SlotEvent),
    Watched(Watched),
    Reported(Result<ReportBatchReply, ClientError>),
    Polled((BootInstant, Result<PollReply, ClientError>)),
    States,
    PrefetchExpired,
    /// The scratch directory has become full, or usable again.
    DiskSpace,
    Drain,
    Turn,
}

/// The lease terms in a poll reply. An earlier native coordinator ends
/// the lease of a worker as soon as the worker is missed.
fn terms(reply: &PollReply) -> Option<LeaseTerms> {
    let lease = reply.lease?;
    let missed_after = reply.missed_after.unwrap_or(lease);
    Some(LeaseTerms { lease, missed_after, gives_reasons: reply.missed_after.is_some() })
}

fn report_call(session: Arc<Session>, report: ReportBatch) -> Call<ReportBatchReply> {
    Box::pin(async move { session.context.client.report_batch(&report).await })
}

fn poll_call(session: Arc<Session>, request: PollRequest) -> Call<PollReply> {
    Box::pin(async move { session.context.client.poll(&request).await })
}

async fn answer<T>(call: &mut Option<Call<T>>) -> Result<T, ClientError> {
    match call {
        Some(call) => call.await,
        None => std::future::pending().await,
    }
}

async fn answer_poll(polling: &mut Option<PendingPoll>) -> (BootInstant, Result<PollReply, ClientError>) {
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
