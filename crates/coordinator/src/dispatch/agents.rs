//! The agents that are connected to this coordinator, and the messages for them.
//!
//! A message wakes the held poll of its agent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mitosis_domain::ids::WorkerId;
use mitosis_domain::lease::LeaseTerms;
use mitosis_domain::timeout::Timeout;
use mitosis_domain::worker::WorkerKind;
use mitosis_protocol::Uuid;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::publish::MayWake;

/// Silence after which an agent counts as missed, unless the fleet is large.
const MISSED_AFTER: Duration = Duration::from_secs(30);
/// The largest rate of polls that end without a message.
const POLLS_PER_SECOND: u32 = 500;
/// Time between two comparisons of the attempts that an agent holds with the store.
const COMPARE_INTERVAL: Duration = Duration::from_secs(10);
/// A connected agent polls again within this time.
const CONNECTED: Duration = Duration::from_secs(30);
/// Silence after which the entry of an agent is removed.
const ENTRY_TTL: Duration = Duration::from_secs(600);

/// Watched tasks that are stored per agent: more than an agent ever holds.
const MAX_WATCHED: usize = 10_000;

/// How long the size of the fleet is cached.
const COUNT_TTL: Duration = Duration::from_secs(1);

/// The agents that have polled this coordinator recently.
#[derive(Debug, Default)]
pub(crate) struct Agents(Mutex<Fleet>);

#[derive(Debug, Default)]
struct Fleet {
    agents: HashMap<Uuid, AgentEntry>,
    /// Their number, and when they were counted.
    counted: Option<(Instant, u32)>,
}

#[derive(Debug)]
struct AgentEntry {
    id: WorkerId,
    kind: WorkerKind,
    /// The `lost_after` of the worker.
    lost_after: Option<Duration>,
    seen: Instant,
    renewed: Option<Instant>,
    compared: Option<Instant>,
    /// What to deliver with the next reply.
    message: Message,
    /// What was delivered with the numbered reply, until the agent acknowledges it.
    unacknowledged: Option<(u64, Message)>,
    features: Features,
    /// Tasks that it is known to hold and whose states are watched, with their timeouts.
    watched_tasks: HashMap<Uuid, Timeout>,
    wake: Arc<Notify>,
}

/// What an agent supports.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Features {
    /// Whether it reports the live states of its tasks.
    pub(crate) reports_states: bool,
    /// Whether it knows the directory, the files and the standard input of a task.
    pub(crate) knows_surroundings: bool,
    /// Whether it masks secrets in the output.
    pub(crate) knows_secrets: bool,
}

/// What is due when an agent polls.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    /// Whether to renew its lease.
    pub(crate) renewal: bool,
    /// How long it may be silent after that.
    pub(crate) terms: LeaseTerms,
    /// Whether to compare the attempts that it holds with the store.
    pub(crate) comparison: bool,
    /// Notified when there is a message, until the agent polls again.
    pub(crate) wake: Arc<Notify>,
}

/// What an agent must be notified of.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Tasks whose output is followed.
    pub(crate) followed: Vec<Uuid>,
    /// Tasks whose states are watched.
    pub(crate) watched: Vec<Uuid>,
    /// Whether to compare the attempts that it holds with the store.
    pub(crate) compare: bool,
}

impl Message {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, other: Self) {
        for (tasks, others) in [(&mut self.followed, other.followed), (&mut self.watched, other.watched)] {
            for task in others {
                add_once(tasks, task);
            }
        }
        self.compare |= other.compare;
    }
}

fn add_once(tasks: &mut Vec<Uuid>, task: Uuid) {
    if !tasks.contains(&task) {
        tasks.push(task);
    }
}

impl Agents {
    /// The row id of an agent that has an entry.
    pub(crate) fn id(&self, uuid: Uuid) -> Option<WorkerId> {
        self.fleet().agents.get(&uuid).map(|agent| agent.id)
    }

    /// Adds an agent.
    pub(crate) fn insert(&self, uuid: Uuid, id: WorkerId, kind: WorkerKind, lost_after: Option<Duration>) {
        let now = Instant::now();
        self.fleet().agents.entry(uuid).or_insert_with(|| AgentEntry {
            id,
            kind,
            lost_after,
            seen: now,
            renewed: None,
            compared: None,
            message: Message::default(),
            unacknowledged: None,
            features: Features::default(),
            watched_tasks: HashMap::new(),
            wake: Arc::default(),
        });
    }

    /// Removes an agent that is no longer registered.
    pub(crate) fn remove(&self, uuid: Uuid) {
        self.fleet().agents.remove(&uuid);
    }

    /// Notes a poll of an agent and returns what is due; `None` without an entry. `resync` requests a full comparison.
    /// `longest` is the lease of legacy workers. A message that was delivered with another number than `heard` is
    /// delivered again: the agent may have cancelled the request before the reply arrived.
    pub(crate) fn poll(
        &self,
        uuid: Uuid,
        resync: bool,
        heard: Option<u64>,
        longest: Duration,
    ) -> Option<Due> {
        let missed_after = self.missed_after();
        let mut fleet = self.fleet();
        let agent = fleet.agents.get_mut(&uuid)?;
        let now = Instant::now();
        let terms = match agent.kind {
            WorkerKind::Agent => agent.terms(missed_after, longest),
            WorkerKind::Legacy => LeaseTerms::legacy(longest),
        };
        agent.seen = now;
        if let (Some((number, message)), Some(heard)) = (agent.unacknowledged.take(), heard)
            && number != heard
        {
            agent.message.add(message);
        }
        // An earlier request of the agent is no longer notified.
        agent.wake = Arc::default();
        let is_due = |last: Option<Instant>, after| last.is_none_or(|last| now - last >= after);
        let comparison = resync || is_due(agent.compared, COMPARE_INTERVAL);
        if comparison {
            agent.compared = Some(now);
        }
        let renewal = is_due(agent.renewed, terms.missed_after / 6);
        Some(Due { renewal, terms, comparison, wake: agent.wake.clone() })
    }

    /// Notes when the lease of an agent was renewed. Its request may have been held since then.
    pub(crate) fn renewed(&self, uuid: Uuid, at: Instant) {
        if let Some(agent) = self.fleet().agents.get_mut(&uuid) {
            agent.renewed = Some(at);
        }
    }

    /// Takes the message for an agent, with the number of the reply if there is any.
    pub(crate) fn take_message(&self, uuid: Uuid, number: impl FnOnce() -> u64) -> (Message, Option<u64>) {
        let mut fleet = self.fleet();
        let Some(agent) = fleet.agents.get_mut(&uuid) else { return (Message::default(), None) };
        let message = std::mem::take(&mut agent.message);
        let number = (!message.is_empty()).then(|| agent.deliver(message.clone(), number));
        (message, number)
    }

    /// Notes that the result of a comparison is delivered, and returns the number of the reply.
    pub(crate) fn deliver_comparison(&self, uuid: Uuid, number: impl FnOnce() -> u64) -> Option<u64> {
        let message = Message { compare: true, ..Message::default() };
        self.fleet().agents.get_mut(&uuid).map(|agent| agent.deliver(message, number))
    }

    /// Wakes the poll of an agent, which then compares its attempts with the store.
    pub(crate) fn wake(&self, uuid: Uuid, _: MayWake) {
        if let Some(agent) = self.fleet().agents.get_mut(&uuid) {
            agent.message.compare = true;
            agent.wake.notify_one();
        }
    }

    /// Wakes all polls: hints may have been lost.
    pub(crate) fn wake_all(&self, _: MayWake) {
        for agent in self.fleet().agents.values_mut() {
            agent.message.compare = true;
            agent.wake.notify_one();
        }
    }

    /// Notifies an agent that the output of a task is followed. Returns whether the agent is connected to this
    /// coordinator.
    pub(crate) fn follow(&self, uuid: Uuid, task: Uuid) -> bool {
        let mut fleet = self.fleet();
        let Some(agent) = fleet.agents.get_mut(&uuid).filter(|agent| agent.seen.elapsed() < CONNECTED) else {
            return false;
        };
        add_once(&mut agent.message.followed, task);
        agent.wake.notify_one();
        true
    }

    /// Notifies an agent that the states of a task are watched. Returns whether the agent is connected to this
    /// coordinator.
    pub(crate) fn watch(&self, uuid: Uuid, task: Uuid, timeout: Timeout) -> bool {
        let mut fleet = self.fleet();
        let Some(agent) = fleet.agents.get_mut(&uuid).filter(|agent| agent.seen.elapsed() < CONNECTED) else {
            return false;
        };
        agent.add_watched(task, timeout);
        add_once(&mut agent.message.watched, task);
        agent.wake.notify_one();
        true
    }

    /// Notes what an agent supports.
    pub(crate) fn set_features(&self, uuid: Uuid, features: Features) {
        if let Some(agent) = self.fleet().agents.get_mut(&uuid) {
            agent.features = features;
        }
    }

    /// Whether an agent reports the live states of its tasks.
    pub(crate) fn reports_states(&self, uuid: Uuid) -> bool {
        self.features(uuid).reports_states
    }

    /// What an agent supports, according to its last poll here.
    pub(crate) fn features(&self, uuid: Uuid) -> Features {
        self.fleet().agents.get(&uuid).map(|agent| agent.features).unwrap_or_default()
    }

    /// Notes that an agent holds a task with this timeout.
    pub(crate) fn add_watched(&self, uuid: Uuid, task: Uuid, timeout: Timeout) {
        if let Some(agent) = self.fleet().agents.get_mut(&uuid) {
            agent.add_watched(task, timeout);
        }
    }

    /// Notes that an agent no longer holds a task.
    pub(crate) fn remove_watched(&self, uuid: Uuid, task: Uuid) {
        if let Some(agent) = self.fleet().agents.get_mut(&uuid) {
            agent.watched_tasks.remove(&task);
        }
    }

    /// The timeout of a task, if the agent is known to hold it.
    pub(crate) fn timeout_of(&self, uuid: Uuid, task: Uuid) -> Option<Timeout> {
        self.fleet().agents.get(&uuid)?.watched_tasks.get(&task).copied()
    }

    /// The lease terms of an agent.
    pub(crate) fn terms(&self, longest: Duration, lost_after: Option<Duration>) -> LeaseTerms {
        agent_terms(self.missed_after(), longest, lost_after)
    }

    /// Silence after which an agent counts as missed. It grows with the fleet, so that idle agents cost a coordinator only
    /// a bounded number of polls per second.
    fn missed_after(&self) -> Duration {
        // A poll is held for a third of it.
        let for_large_fleet = Duration::from_secs(3) * (self.fleet().count() / POLLS_PER_SECOND);
        MISSED_AFTER.max(for_large_fleet)
    }

    fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AgentEntry {
    /// Notes what is delivered, in addition to earlier messages of the same reply.
    fn deliver(&mut self, message: Message, number: impl FnOnce() -> u64) -> u64 {
        let (number, delivered) = self.unacknowledged.get_or_insert_with(|| (number(), Message::default()));
        delivered.add(message);
        *number
    }

    fn add_watched(&mut self, task: Uuid, timeout: Timeout) {
        if self.watched_tasks.len() >= MAX_WATCHED {
            // Drops tasks that it has lost without a report. The others are looked up again.
            self.watched_tasks.clear();
        }
        self.watched_tasks.insert(task, timeout);
    }

    fn terms(&self, missed_after: Duration, longest: Duration) -> LeaseTerms {
        agent_terms(missed_after, longest, self.lost_after)
    }
}

fn agent_terms(missed_after: Duration, longest: Duration, lost_after: Option<Duration>) -> LeaseTerms {
    LeaseTerms::new(missed_after, longest, lost_after)
}

impl Fleet {
    /// The number of agents, without those that have been silent for long.
    fn count(&mut self) -> u32 {
        let now = Instant::now();
        if let Some((at, count)) = self.counted
            && now - at < COUNT_TTL
        {
            return count;
        }
        self.agents.retain(|_, agent| now - agent.seen < ENTRY_TTL);
        let count = u32::try_from(self.agents.len()).unwrap_or(u32::MAX);
        self.counted = Some((now, count));
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: Uuid = Uuid::from_u128(7);
    const LEASE: Duration = Duration::from_secs(600);

    #[tokio::test(start_paused = true)]
    async fn polls_renew_and_compare_periodically_and_on_resync() {
        let agents = Agents::default();
        assert!(agents.poll(AGENT, false, None, LEASE).is_none(), "it has no entry yet");
        agents.insert(AGENT, WorkerId(1), WorkerKind::Agent, None);
        let due = |resync| {
            let due = agents.poll(AGENT, resync, None, LEASE).unwrap();
            (due.renewal, due.comparison)
        };
        assert_eq!(due(false), (true, true));
        assert_eq!(due(false), (true, false), "due until the renewal is noted");
        agents.renewed(AGENT, Instant::now());
        assert_eq!(due(false), (false, false));
        assert_eq!(due(true), (false, true));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(due(false), (true, true));
        tokio::time::advance(ENTRY_TTL).await;
        agents.terms(LEASE, None);
        assert_eq!(agents.id(AGENT), None);
    }

    #[tokio::test(start_paused = true)]
    async fn renewal_counts_from_the_time_of_the_write() {
        let agents = Agents::default();
        agents.insert(AGENT, WorkerId(1), WorkerKind::Agent, None);
        let (started, mut until) = (Instant::now(), Instant::now() + LEASE);
        for _ in 0..10 {
            assert!(Instant::now() < until, "its lease expired after {:?}", started.elapsed());
            let due = agents.poll(AGENT, false, None, LEASE).unwrap();
            let at = Instant::now();
            tokio::time::advance(Duration::from_secs(20)).await;
            if due.renewal {
                until = at + due.terms.missed_after;
                agents.renewed(AGENT, at);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn missed_after_grows_with_the_fleet_within_the_lease() {
        let agents = Agents::default();
        let lease = |agents: &Agents| agents.terms(Duration::from_secs(600), None).missed_after.as_secs();
        assert_eq!(lease(&agents), 30);
        for number in 0..10_000 {
            agents.insert(Uuid::from_u128(number), WorkerId(1), WorkerKind::Agent, None);
        }
        tokio::time::advance(COUNT_TTL).await;
        assert_eq!(lease(&agents), 60);
        assert_eq!(agents.terms(Duration::from_secs(30), None).missed_after.as_secs(), 20);
    }

    #[tokio::test]
    async fn message_wakes_the_poll_even_if_it_came_before() {
        let agents = Agents::default();
        agents.insert(AGENT, WorkerId(1), WorkerKind::Agent, None);
        agents.follow(AGENT, Uuid::nil());
        agents.follow(AGENT, Uuid::nil());
        agents.wake(AGENT, MayWake::in_test());
        let wake = agents.poll(AGENT, false, None, LEASE).unwrap().wake;
        let (message, number) = agents.take_message(AGENT, || 5);
        assert_eq!((message.followed, message.compare, number), (vec![Uuid::nil()], true, Some(5)));
        assert_eq!(agents.take_message(AGENT, || 6), (Message::default(), None), "delivered once");
        agents.wake(AGENT, MayWake::in_test());
        wake.notified().await;
    }

    #[tokio::test]
    async fn unacknowledged_messages_are_delivered_again() {
        let agents = Agents::default();
        agents.insert(AGENT, WorkerId(1), WorkerKind::Agent, None);
        let poll = |heard| agents.poll(AGENT, false, heard, LEASE).unwrap();
        let take = |number| agents.take_message(AGENT, || number);
        poll(Some(0));
        agents.follow(AGENT, Uuid::nil());
        let (message, number) = take(5);
        assert_eq!((&message.followed, number), (&vec![Uuid::nil()], Some(5)));
        assert_eq!(agents.deliver_comparison(AGENT, || 6), Some(5), "it is the same reply");
        let everything = Message { compare: true, ..message };
        poll(Some(0));
        assert_eq!(take(7), (everything.clone(), Some(7)));
        poll(Some(5));
        assert_eq!(take(8), (everything, Some(8)), "only the last number counts");
        poll(Some(8));
        assert_eq!(take(9), (Message::default(), None));
        agents.wake(AGENT, MayWake::in_test());
        take(10);
        poll(None);
        assert_eq!(take(11), (Message::default(), None), "a client without numbers gets no repetition");

        // A cancelled request does not consume the notification of its successor.
        let cancelled = poll(Some(10)).wake;
        let mut first = std::pin::pin!(cancelled.notified());
        assert!(!first.as_mut().enable(), "it is pending");
        let present = poll(Some(10)).wake;
        agents.wake(AGENT, MayWake::in_test());
        assert!(tokio::time::timeout(Duration::from_secs(5), present.notified()).await.is_ok());
        assert!(!first.as_mut().enable());
    }
}
