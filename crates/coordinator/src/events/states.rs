//! Live execution states of tasks that another task watches. They are forwarded from the agent that runs the watched
//! task to the worker that waits for it, also between coordinators.
//!
//! A state is kept only while a watcher waits for it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mitosis_domain::timeout::Timeout;
use mitosis_protocol::agent::LiveState;
use mitosis_protocol::{ExecState, Uuid};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::app::App;
use crate::auth::agent::Agent;
use crate::dispatch::peer_notifier::Hint;

/// How long to forward states to another coordinator without a further request.
const RELAY_TTL: Duration = Duration::from_secs(15);
/// Tasks in one report that are looked up because the agent is not known to hold them.
const MAX_LOOKUPS: usize = 64;

/// The last state that an agent has reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LiveReport {
    pub(crate) holder: Uuid,
    pub(crate) state: ExecState,
}

struct Topic {
    last: watch::Sender<Option<LiveReport>>,
    /// When the interest of another coordinator expires.
    for_peer_until: Option<Instant>,
}

/// The tasks that are watched.
#[derive(Default)]
pub(crate) struct States(Mutex<HashMap<Uuid, Topic>>);

/// Receives the states of one task until it is dropped.
pub(crate) struct Watching<'a> {
    states: &'a States,
    task: Uuid,
    last: Option<watch::Receiver<Option<LiveReport>>>,
}

impl States {
    /// Starts to watch a task.
    pub(crate) fn watch(&self, task: Uuid) -> Watching<'_> {
        let last = self.topics().entry(task).or_insert_with(Topic::new).last.subscribe();
        Watching { states: self, task, last: Some(last) }
    }

    /// Forwards the states of a task to another coordinator for a while.
    pub(crate) fn watch_for_peer(&self, task: Uuid) {
        let now = Instant::now();
        let mut topics = self.topics();
        topics.retain(|_, topic| topic.is_needed(now));
        topics.entry(task).or_insert_with(Topic::new).for_peer_until = Some(now + RELAY_TTL);
    }

    /// Publishes the state of a task. Returns whether another coordinator watches the task.
    pub(crate) fn publish(&self, live: LiveReport, task: Uuid) -> bool {
        let topics = self.topics();
        let Some(topic) = topics.get(&task) else { return false };
        topic.last.send_replace(Some(live));
        topic.for_peer_until.is_some_and(|until| Instant::now() < until)
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<Uuid, Topic>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Topic {
    fn new() -> Self {
        Self { last: watch::Sender::new(None), for_peer_until: None }
    }

    fn is_needed(&self, now: Instant) -> bool {
        self.last.receiver_count() > 0 || self.for_peer_until.is_some_and(|until| now < until)
    }
}

impl Watching<'_> {
    /// The last state that this holder has reported.
    pub(crate) fn of(&mut self, holder: Uuid) -> Option<ExecState> {
        let last = *self.last.as_mut()?.borrow_and_update();
        last.filter(|live| live.holder == holder).map(|live| live.state)
    }

    /// Returns when a new state was reported.
    pub(crate) async fn changed(&mut self) {
        // The sender lives as long as there is a receiver.
        if let Some(last) = &mut self.last
            && last.changed().await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        let mut topics = self.states.topics();
        self.last = None;
        if topics.get(&self.task).is_some_and(|topic| !topic.is_needed(Instant::now())) {
            topics.remove(&self.task);
        }
    }
}

/// Announces and publishes the states that an agent reports about tasks that it holds.
pub(crate) async fn forward(app: &App, agent: Agent, reported: Vec<LiveState>) {
    let mut lookups = MAX_LOOKUPS;
    for LiveState { task, state } in reported {
        let timeout = match app.agents.timeout_of(agent.uuid, task) {
            Some(timeout) => timeout,
            None if lookups > 0 => {
                lookups -= 1;
                let Some(timeout) = timeout_if_held(app, agent, task).await else { continue };
                app.agents.add_watched(agent.uuid, task, timeout);
                timeout
            }
            None => continue,
        };
        app.announcer.announce(task, state, timeout.into());
        publish(app, agent.uuid, task, state);
    }
}

/// Publishes the state of a task, on this and on other coordinators.
pub(crate) fn publish(app: &App, holder: Uuid, task: Uuid, state: ExecState) {
    if app.states.publish(LiveReport { holder, state }, task) {
        app.peers.send(Hint::State { agent: holder, task, state });
    }
}

/// The timeout of a task, if the agent holds it. During an outage of the database, the state is dropped.
async fn timeout_if_held(app: &App, agent: Agent, task: Uuid) -> Option<Timeout> {
    use mitosis_domain::task::Phase::{Reported, Running};
    let task = app.store.task(task).await.ok()??;
    match task.phase {
        Running(attempt) | Reported(attempt, _) if attempt.worker == agent.uuid => Some(task.timeout),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: Uuid = Uuid::from_u128(1);
    const HOLDER: Uuid = Uuid::from_u128(2);

    fn live(state: ExecState) -> LiveReport {
        LiveReport { holder: HOLDER, state }
    }

    #[tokio::test]
    async fn watcher_receives_states_of_the_holder_only() {
        let states = States::default();
        assert!(!states.publish(live(ExecState::ExecSpawned), TASK));
        let mut watching = states.watch(TASK);
        assert_eq!(watching.of(HOLDER), None, "earlier states are not kept");
        states.publish(live(ExecState::ExecSpawned), TASK);
        watching.changed().await;
        assert_eq!(watching.of(Uuid::nil()), None);
        assert_eq!(watching.of(HOLDER), Some(ExecState::ExecSpawned));
    }

    #[tokio::test(start_paused = true)]
    async fn states_without_watchers_are_not_kept() {
        let states = States::default();
        drop(states.watch(TASK));
        assert!(states.topics().is_empty());
        states.watch_for_peer(TASK);
        drop(states.watch(TASK));
        assert!(states.publish(live(ExecState::ExecPending), TASK), "another coordinator watches");
        tokio::time::advance(RELAY_TTL).await;
        assert!(!states.publish(live(ExecState::ExecSpawned), TASK));
        states.watch_for_peer(HOLDER);
        assert_eq!(states.topics().len(), 1);
    }
}
