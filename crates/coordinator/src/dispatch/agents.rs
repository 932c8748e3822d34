//! Agents that are connected here, and how to get a word in while their request is held.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mitosis_domain::ids::WorkerId;
use mitosis_domain::lease::LeaseTerms;
use mitosis_protocol::Uuid;
use tokio::sync::Notify;
use tokio::time::Instant;

/// An agent is missed soon after it is gone.
const MISSED_AFTER: Duration = Duration::from_secs(30);
/// Polls that a coordinator has to answer in a second, at the most, only because time has passed.
const POLLS_PER_SECOND: u32 = 500;
/// Time between two comparisons of what an agent holds with what the store says.
const COMPARE_AGAIN: Duration = Duration::from_secs(10);
/// An agent that is connected asks again within this time.
const CONNECTED: Duration = Duration::from_secs(30);
/// An agent that was not heard of for so long is forgotten here.
const FORGET: Duration = Duration::from_secs(600);

/// Tasks that are remembered of one agent: more than it ever has in hand.
const MOST_VOUCHED: usize = 10_000;

/// A count of the fleet holds for so long.
const COUNT_AGAIN: Duration = Duration::from_secs(1);

/// What is known here of the agents.
#[derive(Debug, Default)]
pub(crate) struct Agents(Mutex<Fleet>);

#[derive(Debug, Default)]
struct Fleet {
    known: HashMap<Uuid, Known>,
    /// Their number, and when they were counted.
    counted: Option<(Instant, u32)>,
}

#[derive(Debug)]
struct Known {
    id: WorkerId,
    /// Whether it registered as an agent, and so is heard of often.
    is_agent: bool,
    /// The limit of silence that it asked for.
    lost_after: Option<Duration>,
    seen: Instant,
    renewed: Option<Instant>,
    compared: Option<Instant>,
    /// To be told at the next occasion.
    message: Message,
    /// What was told with this number, until it is known to have been heard.
    told: Option<(u64, Message)>,
    /// Whether it announces the states of its tasks by itself.
    tells_states: bool,
    /// Tasks that it is known to hold, with their timeouts, where their states matter.
    vouched: HashMap<Uuid, Duration>,
    wake: Arc<Notify>,
}

/// What is due when an agent asks.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    /// Its lease has to be renewed.
    pub(crate) renewal: bool,
    /// How long it may be silent then.
    pub(crate) terms: LeaseTerms,
    /// What it holds has to be compared with what the store says.
    pub(crate) comparison: bool,
    /// Woken when there is something to be told, until the agent asks again.
    pub(crate) wake: Arc<Notify>,
}

/// What an agent has to be told.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Tasks whose output somebody waits for.
    pub(crate) followed: Vec<Uuid>,
    /// Tasks whose states somebody waits for.
    pub(crate) watched: Vec<Uuid>,
    /// What it holds has to be compared with the store.
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
    /// The row of an agent, if it is known here.
    pub(crate) fn id(&self, uuid: Uuid) -> Option<WorkerId> {
        self.fleet().known.get(&uuid).map(|known| known.id)
    }

    /// Remembers an agent.
    pub(crate) fn remember(&self, uuid: Uuid, id: WorkerId, is_agent: bool, lost_after: Option<Duration>) {
        let now = Instant::now();
        self.fleet().known.entry(uuid).or_insert_with(|| Known {
            id,
            is_agent,
            lost_after,
            seen: now,
            renewed: None,
            compared: None,
            message: Message::default(),
            told: None,
            tells_states: false,
            vouched: HashMap::new(),
            wake: Arc::default(),
        });
    }

    /// Forgets an agent that is gone.
    pub(crate) fn forget(&self, uuid: Uuid) {
        self.fleet().known.remove(&uuid);
    }

    /// An agent asks, and `resync` says whether it doubts what it knows. Others may be silent for `longest`. What
    /// was told with another number than the one that it has `heard` has to be told again: it gives up requests
    /// that may have been answered.
    pub(crate) fn asks(
        &self,
        uuid: Uuid,
        resync: bool,
        heard: Option<u64>,
        longest: Duration,
    ) -> Option<Due> {
        let missed_after = self.missed_after();
        let mut fleet = self.fleet();
        let known = fleet.known.get_mut(&uuid)?;
        let now = Instant::now();
        let terms = match known.is_agent {
            true => known.terms(missed_after, longest),
            false => LeaseTerms::legacy(longest),
        };
        known.seen = now;
        if let (Some((number, message)), Some(heard)) = (known.told.take(), heard)
            && number != heard
        {
            known.message.add(message);
        }
        // A request that the agent has given up hears nothing any more.
        known.wake = Arc::default();
        let is_due = |last: Option<Instant>, after| last.is_none_or(|last| now - last >= after);
        let comparison = resync || is_due(known.compared, COMPARE_AGAIN);
        if comparison {
            known.compared = Some(now);
        }
        let renewal = is_due(known.renewed, terms.missed_after / 6);
        Some(Due { renewal, terms, comparison, wake: known.wake.clone() })
    }

    /// An agent is told that its lease was renewed at that moment; since then, its request may have been
    /// held for long.
    pub(crate) fn renewed(&self, uuid: Uuid, at: Instant) {
        if let Some(known) = self.fleet().known.get_mut(&uuid) {
            known.renewed = Some(at);
        }
    }

    /// What there is to be told to an agent, with the number of the reply if there is anything.
    pub(crate) fn message(&self, uuid: Uuid, number: impl FnOnce() -> u64) -> (Message, Option<u64>) {
        let mut fleet = self.fleet();
        let Some(known) = fleet.known.get_mut(&uuid) else { return (Message::default(), None) };
        let message = std::mem::take(&mut known.message);
        let number = (!message.is_empty()).then(|| known.tells(message.clone(), number));
        (message, number)
    }

    /// An agent is told what the store knows; answers the number of the reply.
    pub(crate) fn tells(&self, uuid: Uuid, number: impl FnOnce() -> u64) -> Option<u64> {
        let message = Message { compare: true, ..Message::default() };
        self.fleet().known.get_mut(&uuid).map(|known| known.tells(message, number))
    }

    /// Wakes the poll of an agent, which then compares what it holds with the store.
    pub(crate) fn wake(&self, uuid: Uuid) {
        if let Some(known) = self.fleet().known.get_mut(&uuid) {
            known.message.compare = true;
            known.wake.notify_one();
        }
    }

    /// Wakes all polls: hints may have been lost.
    pub(crate) fn wake_all(&self) {
        for known in self.fleet().known.values_mut() {
            known.message.compare = true;
            known.wake.notify_one();
        }
    }

    /// Somebody waits for the output of a task that an agent runs; answers whether the agent is connected
    /// here.
    pub(crate) fn follow(&self, uuid: Uuid, task: Uuid) -> bool {
        let mut fleet = self.fleet();
        let Some(known) = fleet.known.get_mut(&uuid).filter(|known| known.seen.elapsed() < CONNECTED) else {
            return false;
        };
        add_once(&mut known.message.followed, task);
        known.wake.notify_one();
        true
    }

    /// Somebody waits for the states of a task that an agent holds; answers whether the agent is connected
    /// here.
    pub(crate) fn watch(&self, uuid: Uuid, task: Uuid, timeout: Duration) -> bool {
        let mut fleet = self.fleet();
        let Some(known) = fleet.known.get_mut(&uuid).filter(|known| known.seen.elapsed() < CONNECTED) else {
            return false;
        };
        known.vouch(task, timeout);
        add_once(&mut known.message.watched, task);
        known.wake.notify_one();
        true
    }

    /// An agent says whether it announces the states of its tasks by itself.
    pub(crate) fn tells_states(&self, uuid: Uuid, tells: bool) {
        if let Some(known) = self.fleet().known.get_mut(&uuid) {
            known.tells_states = tells;
        }
    }

    /// Whether it does.
    pub(crate) fn does_tell_states(&self, uuid: Uuid) -> bool {
        self.fleet().known.get(&uuid).is_some_and(|known| known.tells_states)
    }

    /// An agent holds a task that may run this long.
    pub(crate) fn vouch(&self, uuid: Uuid, task: Uuid, timeout: Duration) {
        if let Some(known) = self.fleet().known.get_mut(&uuid) {
            known.vouch(task, timeout);
        }
    }

    /// An agent does not hold a task any more.
    pub(crate) fn let_go(&self, uuid: Uuid, task: Uuid) {
        if let Some(known) = self.fleet().known.get_mut(&uuid) {
            known.vouched.remove(&task);
        }
    }

    /// How long a task may run, if the agent is known to hold it.
    pub(crate) fn timeout_of(&self, uuid: Uuid, task: Uuid) -> Option<Duration> {
        self.fleet().known.get(&uuid)?.vouched.get(&task).copied()
    }

    /// How long an agent may be silent.
    pub(crate) fn terms(&self, longest: Duration, lost_after: Option<Duration>) -> LeaseTerms {
        agent_terms(self.missed_after(), longest, lost_after)
    }

    /// After how much silence an agent is missed. The more there are, the later, so that their mere presence
    /// never costs more than a bounded part of a coordinator.
    fn missed_after(&self) -> Duration {
        // A poll is held for a third of it.
        let crowded = Duration::from_secs(3) * (self.fleet().count() / POLLS_PER_SECOND);
        MISSED_AFTER.max(crowded)
    }

    fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Remembers what is told, together with what this request was told before.
    fn tells(&mut self, message: Message, number: impl FnOnce() -> u64) -> u64 {
        let (number, told) = self.told.get_or_insert_with(|| (number(), Message::default()));
        told.add(message);
        *number
    }

    fn vouch(&mut self, task: Uuid, timeout: Duration) {
        if self.vouched.len() >= MOST_VOUCHED {
            // Tasks that were taken from it unheard; the others are looked up again.
            self.vouched.clear();
        }
        self.vouched.insert(task, timeout);
    }

    fn terms(&self, missed_after: Duration, longest: Duration) -> LeaseTerms {
        agent_terms(missed_after, longest, self.lost_after)
    }
}

fn agent_terms(missed_after: Duration, longest: Duration, lost_after: Option<Duration>) -> LeaseTerms {
    LeaseTerms::new(missed_after, longest, lost_after)
}

impl Fleet {
    /// How many there are. Those that were not heard of for long are forgotten.
    fn count(&mut self) -> u32 {
        let now = Instant::now();
        if let Some((at, count)) = self.counted
            && now - at < COUNT_AGAIN
        {
            return count;
        }
        self.known.retain(|_, known| now - known.seen < FORGET);
        let count = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
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
    async fn an_agent_is_renewed_and_compared_now_and_then_and_when_it_is_in_doubt() {
        let agents = Agents::default();
        assert!(agents.asks(AGENT, false, None, LEASE).is_none(), "not known yet");
        agents.remember(AGENT, WorkerId(1), true, None);
        let due = |resync| {
            let due = agents.asks(AGENT, resync, None, LEASE).unwrap();
            (due.renewal, due.comparison)
        };
        assert_eq!(due(false), (true, true));
        assert_eq!(due(false), (true, false), "not renewed until it is told so");
        agents.renewed(AGENT, Instant::now());
        assert_eq!(due(false), (false, false));
        assert_eq!(due(true), (false, true));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(due(false), (true, true));
        tokio::time::advance(FORGET).await;
        agents.terms(LEASE, None);
        assert_eq!(agents.id(AGENT), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_counts_from_when_it_was_written_however_long_the_request_is_held() {
        let agents = Agents::default();
        agents.remember(AGENT, WorkerId(1), true, None);
        let (asked, mut until) = (Instant::now(), Instant::now() + LEASE);
        for _ in 0..10 {
            assert!(Instant::now() < until, "it was taken for dead after {:?}", asked.elapsed());
            let due = agents.asks(AGENT, false, None, LEASE).unwrap();
            let at = Instant::now();
            tokio::time::advance(Duration::from_secs(20)).await;
            if due.renewal {
                until = at + due.terms.missed_after;
                agents.renewed(AGENT, at);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_larger_the_fleet_the_longer_the_lease_within_what_was_configured() {
        let agents = Agents::default();
        let lease = |agents: &Agents| agents.terms(Duration::from_secs(600), None).missed_after.as_secs();
        assert_eq!(lease(&agents), 30);
        for number in 0..10_000 {
            agents.remember(Uuid::from_u128(number), WorkerId(1), true, None);
        }
        tokio::time::advance(COUNT_AGAIN).await;
        assert_eq!(lease(&agents), 60);
        assert_eq!(agents.terms(Duration::from_secs(30), None).missed_after.as_secs(), 20);
    }

    #[tokio::test]
    async fn a_word_for_an_agent_wakes_its_request_also_if_it_comes_a_moment_before() {
        let agents = Agents::default();
        agents.remember(AGENT, WorkerId(1), true, None);
        agents.follow(AGENT, Uuid::nil());
        agents.follow(AGENT, Uuid::nil());
        agents.wake(AGENT);
        let wake = agents.asks(AGENT, false, None, LEASE).unwrap().wake;
        let (message, number) = agents.message(AGENT, || 5);
        assert_eq!((message.followed, message.compare, number), (vec![Uuid::nil()], true, Some(5)));
        assert_eq!(agents.message(AGENT, || 6), (Message::default(), None), "told once");
        agents.wake(AGENT);
        wake.notified().await;
    }

    #[tokio::test]
    async fn what_was_not_heard_is_told_again() {
        let agents = Agents::default();
        agents.remember(AGENT, WorkerId(1), true, None);
        let asks = |heard| agents.asks(AGENT, false, heard, LEASE).unwrap();
        let told = |number| agents.message(AGENT, || number);
        asks(Some(0));
        agents.follow(AGENT, Uuid::nil());
        let (message, number) = told(5);
        assert_eq!((&message.followed, number), (&vec![Uuid::nil()], Some(5)));
        assert_eq!(agents.tells(AGENT, || 6), Some(5), "it is the same reply");
        let everything = Message { compare: true, ..message };
        asks(Some(0));
        assert_eq!(told(7), (everything.clone(), Some(7)));
        asks(Some(5));
        assert_eq!(told(8), (everything, Some(8)), "the last one has to be heard");
        asks(Some(8));
        assert_eq!(told(9), (Message::default(), None));
        agents.wake(AGENT);
        told(10);
        asks(None);
        assert_eq!(told(11), (Message::default(), None), "it knows no numbers");

        // A request that was given up takes nothing from the one that followed it.
        let given_up = asks(Some(10)).wake;
        let mut first_in_line = std::pin::pin!(given_up.notified());
        assert!(!first_in_line.as_mut().enable(), "it waits");
        let present = asks(Some(10)).wake;
        agents.wake(AGENT);
        assert!(tokio::time::timeout(Duration::from_secs(5), present.notified()).await.is_ok());
        assert!(!first_in_line.as_mut().enable());
    }
}
