//! Task states that are sent with the reports of an agent.
//!
//! While a task has no watchers, a state costs two loads and a store.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mitosis_protocol::agent::LiveState;
use mitosis_protocol::{ExecState, Uuid};
use tokio::sync::Notify;

/// The maximum number of states that wait for a report; older ones are dropped.
const MAX_STATES: usize = 5_000;

/// The states to report, of all slots.
#[derive(Debug, Default)]
pub(crate) struct StateQueue {
    states: Mutex<Vec<LiveState>>,
    /// Whether the states of all tasks are wanted.
    all: AtomicBool,
    filled: Notify,
}

/// The state of the task in one slot.
#[derive(Debug)]
pub(crate) struct StateCell {
    states: Arc<StateQueue>,
    state: AtomicI32,
    wanted: AtomicBool,
}

impl StateQueue {
    /// Sets whether the states of all tasks are wanted.
    pub(crate) fn want_all(&self, all: bool) {
        self.all.store(all, Ordering::SeqCst);
    }

    /// Takes all states that have to be reported.
    pub(crate) fn take(&self) -> Vec<LiveState> {
        std::mem::take(&mut *self.states())
    }

    /// Queues states again that could not be reported.
    pub(crate) fn requeue(&self, mut unreported: Vec<LiveState>) {
        if unreported.is_empty() {
            return;
        }
        let mut states = self.states();
        unreported.append(&mut states);
        let excess = unreported.len().saturating_sub(MAX_STATES);
        unreported.drain(..excess);
        *states = unreported;
        self.filled.notify_one();
    }

    /// Waits until there is something to report.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    fn push(&self, state: LiveState) {
        let mut states = self.states();
        if states.len() >= MAX_STATES {
            return;
        }
        states.push(state);
        if states.len() == 1 {
            self.filled.notify_one();
        }
    }

    fn states(&self) -> MutexGuard<'_, Vec<LiveState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateCell {
    pub(crate) fn new(states: Arc<StateQueue>) -> Self {
        Self { states, state: AtomicI32::new(ExecState::Unknown.as_i32()), wanted: AtomicBool::new(false) }
    }

    /// Resets the cell for another task, which the coordinator has announced as fetching its resources.
    pub(crate) fn begin(&self, is_watched: bool) {
        self.state.store(ExecState::FetchResource.as_i32(), Ordering::SeqCst);
        self.wanted.store(is_watched, Ordering::SeqCst);
    }

    /// Starts reporting the states of this task, with the present one.
    pub(crate) fn watch(&self, task: Uuid) {
        self.wanted.store(true, Ordering::SeqCst);
        let state = ExecState::from_i32(self.state.load(Ordering::SeqCst));
        self.states.push(LiveState { task, state });
    }

    /// Whether the states of the task are wanted.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }

    /// Sets the state of the task, and reports it if it is wanted.
    pub(crate) fn set(&self, task: Uuid, state: ExecState) {
        self.state.store(state.as_i32(), Ordering::SeqCst);
        if self.wanted.load(Ordering::SeqCst) || self.states.all.load(Ordering::SeqCst) {
            self.states.push(LiveState { task, state });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: Uuid = Uuid::from_u128(1);

    #[test]
    fn states_are_reported_only_for_watched_tasks() {
        let states = Arc::new(StateQueue::default());
        let cell = StateCell::new(states.clone());
        cell.begin(false);
        cell.set(TASK, ExecState::ExecPending);
        assert!(states.take().is_empty());
        cell.watch(TASK);
        cell.set(TASK, ExecState::ExecSpawned);
        let said: Vec<ExecState> = states.take().iter().map(|one| one.state).collect();
        assert_eq!(said, [ExecState::ExecPending, ExecState::ExecSpawned]);
        cell.begin(false);
        cell.set(TASK, ExecState::ExecPending);
        assert!(states.take().is_empty(), "the next task is not watched");
        states.want_all(true);
        cell.set(TASK, ExecState::ExecSpawned);
        assert_eq!(states.take().len(), 1);
    }

    #[test]
    fn requeued_states_go_first_and_are_bounded() {
        let states = StateQueue::default();
        let one = |number: usize| LiveState {
            task: Uuid::from_u128(number as u128),
            state: ExecState::ExecSpawned,
        };
        states.push(one(MAX_STATES));
        states.requeue((0..MAX_STATES).map(one).collect());
        let states = states.take();
        assert_eq!((states.len(), states[0], states[MAX_STATES - 1]), (MAX_STATES, one(1), one(MAX_STATES)));
    }
}
