//! States that go out with the reports of an agent.
//!
//! While nobody wants to hear of a task, a state costs two loads and a store.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mitosis_protocol::agent::LiveState;
use mitosis_protocol::{ExecState, Uuid};
use tokio::sync::Notify;

/// States that wait for a report at most; older ones are dropped.
const MOST: usize = 5_000;

/// What is to be reported, from all slots.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    states: Mutex<Vec<LiveState>>,
    /// The states of all tasks matter.
    all: AtomicBool,
    filled: Notify,
}

/// Where the task of one slot stands.
#[derive(Debug)]
pub(crate) struct Cell {
    outbox: Arc<Outbox>,
    state: AtomicI32,
    wanted: AtomicBool,
}

impl Outbox {
    /// Whether the states of all tasks matter from now on.
    pub(crate) fn want_all(&self, all: bool) {
        self.all.store(all, Ordering::SeqCst);
    }

    /// Everything that is to be reported.
    pub(crate) fn take(&self) -> Vec<LiveState> {
        std::mem::take(&mut *self.states())
    }

    /// Puts back what could not be reported.
    pub(crate) fn put_back(&self, mut unsaid: Vec<LiveState>) {
        if unsaid.is_empty() {
            return;
        }
        let mut states = self.states();
        unsaid.append(&mut states);
        let excess = unsaid.len().saturating_sub(MOST);
        unsaid.drain(..excess);
        *states = unsaid;
        self.filled.notify_one();
    }

    /// Returns when there is something to be reported.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    fn push(&self, state: LiveState) {
        let mut states = self.states();
        if states.len() >= MOST {
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

impl Cell {
    pub(crate) fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox, state: AtomicI32::new(ExecState::Unknown.as_i32()), wanted: AtomicBool::new(false) }
    }

    /// Another task begins, which the coordinator has announced as being fetched.
    pub(crate) fn begin(&self, is_watched: bool) {
        self.state.store(ExecState::FetchResource.as_i32(), Ordering::SeqCst);
        self.wanted.store(is_watched, Ordering::SeqCst);
    }

    /// The states of this task matter: reports the present one, and each that follows.
    pub(crate) fn watch(&self, task: Uuid) {
        self.wanted.store(true, Ordering::SeqCst);
        let state = ExecState::from_i32(self.state.load(Ordering::SeqCst));
        self.outbox.push(LiveState { task, state });
    }

    /// Whether the states of its task matter.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }

    /// The task came to a state.
    pub(crate) fn tell(&self, task: Uuid, state: ExecState) {
        self.state.store(state.as_i32(), Ordering::SeqCst);
        if self.wanted.load(Ordering::SeqCst) || self.outbox.all.load(Ordering::SeqCst) {
            self.outbox.push(LiveState { task, state });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: Uuid = Uuid::from_u128(1);

    #[test]
    fn states_are_reported_only_of_tasks_that_matter() {
        let outbox = Arc::new(Outbox::default());
        let cell = Cell::new(outbox.clone());
        cell.begin(false);
        cell.tell(TASK, ExecState::ExecPending);
        assert!(outbox.take().is_empty());
        cell.watch(TASK);
        cell.tell(TASK, ExecState::ExecSpawned);
        let said: Vec<ExecState> = outbox.take().iter().map(|one| one.state).collect();
        assert_eq!(said, [ExecState::ExecPending, ExecState::ExecSpawned]);
        cell.begin(false);
        cell.tell(TASK, ExecState::ExecPending);
        assert!(outbox.take().is_empty(), "the next task is not watched");
        outbox.want_all(true);
        cell.tell(TASK, ExecState::ExecSpawned);
        assert_eq!(outbox.take().len(), 1);
    }

    #[test]
    fn unsaid_states_go_first_and_are_bounded() {
        let outbox = Outbox::default();
        let one = |number: usize| LiveState {
            task: Uuid::from_u128(number as u128),
            state: ExecState::ExecSpawned,
        };
        outbox.push(one(MOST));
        outbox.put_back((0..MOST).map(one).collect());
        let states = outbox.take();
        assert_eq!((states.len(), states[0], states[MOST - 1]), (MOST, one(1), one(MOST)));
    }
}
