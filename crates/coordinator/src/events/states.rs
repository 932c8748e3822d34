//! Live execution states of tasks that another task watches: from the agent that has the one to the worker
//! that holds the other, also when they are connected to different coordinators.
//!
//! A state is kept only while somebody waits for it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mitosis_protocol::agent::LiveState;
use mitosis_protocol::{ExecState, Uuid};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::app::App;
use crate::auth::agent::Agent;
use crate::dispatch::peer_notifier::Hint;

/// How long to pass states on to another coordinator before being asked again.
const RELAY_TTL: Duration = Duration::from_secs(15);
/// Tasks in one report that are looked up, because an agent speaks of them that was not known to hold them.
const LOOKUPS: usize = 64;

/// What an agent said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) holder: Uuid,
    pub(crate) state: ExecState,
}

struct Topic {
    last: watch::Sender<Option<Live>>,
    /// Another coordinator waits for it until then.
    for_peer_until: Option<Instant>,
}

/// All tasks that somebody watches.
#[derive(Default)]
pub(crate) struct States(Mutex<HashMap<Uuid, Topic>>);

/// Hears of the states of one task; giving it up ends the interest.
pub(crate) struct Watching<'a> {
    states: &'a States,
    task: Uuid,
    last: Option<watch::Receiver<Option<Live>>>,
}

impl States {
    /// Begins to listen.
    pub(crate) fn watch(&self, task: Uuid) -> Watching<'_> {
        let last = self.topics().entry(task).or_insert_with(Topic::new).last.subscribe();
        Watching { states: self, task, last: Some(last) }
    }

    /// Another coordinator wants to hear of a task.
    pub(crate) fn watch_for_peer(&self, task: Uuid) {
        let now = Instant::now();
        let mut topics = self.topics();
        topics.retain(|_, topic| topic.is_of_use(now));
        topics.entry(task).or_insert_with(Topic::new).for_peer_until = Some(now + RELAY_TTL);
    }

    /// An agent says where a task stands; answers whether another coordinator wants to hear of it.
    pub(crate) fn publish(&self, live: Live, task: Uuid) -> bool {
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

    fn is_of_use(&self, now: Instant) -> bool {
        self.last.receiver_count() > 0 || self.for_peer_until.is_some_and(|until| now < until)
    }
}

impl Watching<'_> {
    /// What the holder said last.
    pub(crate) fn of(&mut self, holder: Uuid) -> Option<ExecState> {
        let last = *self.last.as_mut()?.borrow_and_update();
        last.filter(|live| live.holder == holder).map(|live| live.state)
    }

    /// Returns when something was said since.
    pub(crate) async fn changed(&mut self) {
        // The sender lives as long as somebody listens.
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
        if topics.get(&self.task).is_some_and(|topic| !topic.is_of_use(Instant::now())) {
            topics.remove(&self.task);
        }
    }
}

/// Passes on what an agent says about tasks that it holds.
pub(crate) async fn pass_on(app: &App, agent: Agent, said: Vec<LiveState>) {
    let mut lookups = LOOKUPS;
    for LiveState { task, state } in said {
        let timeout = match app.agents.timeout_of(agent.uuid, task) {
            Some(timeout) => timeout,
            None if lookups > 0 => {
                lookups -= 1;
                let Some(timeout) = timeout_if_held(app, agent, task).await else { continue };
                app.agents.vouch(agent.uuid, task, timeout);
                timeout
            }
            None => continue,
        };
        app.announcer.announce(task, state, timeout);
        tell(app, agent.uuid, task, state);
    }
}

/// Tells whoever watches a task, here or at another coordinator.
pub(crate) fn tell(app: &App, holder: Uuid, task: Uuid, state: ExecState) {
    if app.states.publish(Live { holder, state }, task) {
        app.peers.send(Hint::State { agent: holder, task, state });
    }
}

/// An agent speaks only for tasks that it holds. A database that is away costs an announcement.
async fn timeout_if_held(app: &App, agent: Agent, task: Uuid) -> Option<Duration> {
    use mitosis_domain::task::Phase::{Reported, Running};
    let task = app.store.task(task).await.ok()??;
    match task.phase {
        Running(attempt) | Reported(attempt, _) if attempt.worker == agent.uuid => {
            Some(Duration::from_secs(task.timeout_seconds.unsigned_abs()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: Uuid = Uuid::from_u128(1);
    const HOLDER: Uuid = Uuid::from_u128(2);

    fn live(state: ExecState) -> Live {
        Live { holder: HOLDER, state }
    }

    #[tokio::test]
    async fn watcher_hears_states_of_the_holder_only() {
        let states = States::default();
        assert!(!states.publish(live(ExecState::ExecSpawned), TASK));
        let mut watching = states.watch(TASK);
        assert_eq!(watching.of(HOLDER), None, "nothing was kept");
        states.publish(live(ExecState::ExecSpawned), TASK);
        watching.changed().await;
        assert_eq!(watching.of(Uuid::nil()), None);
        assert_eq!(watching.of(HOLDER), Some(ExecState::ExecSpawned));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_when_no_one_waits_here_or_elsewhere() {
        let states = States::default();
        drop(states.watch(TASK));
        assert!(states.topics().is_empty());
        states.watch_for_peer(TASK);
        drop(states.watch(TASK));
        assert!(states.publish(live(ExecState::ExecPending), TASK), "another coordinator waits");
        tokio::time::advance(RELAY_TTL).await;
        assert!(!states.publish(live(ExecState::ExecSpawned), TASK));
        states.watch_for_peer(HOLDER);
        assert_eq!(states.topics().len(), 1);
    }
}
