//! Tasks that watch another task, outside the slots.

use std::collections::HashMap;
use std::sync::Arc;

use mitosis_protocol::Uuid;
use mitosis_protocol::agent::{AssignedTask, AttemptRef};
use tokio::task::{AbortHandle, JoinSet};
use tracing::Instrument as _;

use super::state::attempt_ref;
use crate::exec_state::StateReporter;
use crate::exec_state::state_queue::{StateCell, StateQueue};
use crate::run::{self, AttemptError};
use crate::session::Session;

/// The watching tasks of an agent. Dropping them ends their watching.
pub(super) struct WatchRunner {
    session: Arc<Session>,
    states: Arc<StateQueue>,
    waiting: HashMap<AttemptRef, Waiting>,
    running: JoinSet<Watched>,
}

struct Waiting {
    task: Uuid,
    cell: Arc<StateCell>,
    is_followed: bool,
    handle: AbortHandle,
}

/// A task that has ended watching.
pub(super) struct Watched {
    pub(super) task: AssignedTask,
    /// Whether the watched task reached the target state in time.
    pub(super) outcome: Result<bool, AttemptError>,
}

/// Whether the states or the output of a task are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interest {
    pub(super) is_watched: bool,
    pub(super) is_followed: bool,
}

impl WatchRunner {
    pub(super) fn new(session: Arc<Session>, states: Arc<StateQueue>) -> Self {
        Self { session, states, waiting: HashMap::new(), running: JoinSet::new() }
    }

    /// Starts watching for a task.
    pub(super) fn start(&mut self, task: AssignedTask, is_watched: bool) {
        let (attempt, uuid) = (attempt_ref(&task), task.task.uuid);
        let cell = Arc::new(StateCell::new(self.states.clone()));
        cell.begin(is_watched);
        let (session, reporter) = (self.session.clone(), StateReporter::Report(cell.clone()));
        let watch = async move {
            let outcome = run::watch(&session.context, &reporter, &task.task).await;
            Watched { task, outcome }
        };
        let handle = self.running.spawn(watch.instrument(tracing::info_span!("watch", task = %uuid)));
        self.waiting.insert(attempt, Waiting { task: uuid, cell, is_followed: false, handle });
    }

    /// The next task that has ended watching; cancelled ones are skipped.
    pub(super) async fn next(&mut self) -> Watched {
        loop {
            match self.running.join_next().await {
                Some(Ok(watched)) if self.waiting.contains_key(&attempt_ref(&watched.task)) => {
                    return watched;
                }
                Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Ends the watching of a task. Returns whether its states or output are needed.
    pub(super) fn end(&mut self, attempt: AttemptRef) -> Option<Interest> {
        let Waiting { cell, is_followed, handle, .. } = self.waiting.remove(&attempt)?;
        handle.abort();
        Some(Interest { is_watched: cell.is_wanted(), is_followed })
    }

    pub(super) fn end_all(&mut self) {
        self.waiting.clear();
        self.running.abort_all();
    }

    /// Notes that a client follows the output of a task.
    pub(super) fn follow(&mut self, task: Uuid) {
        if let Some(waiting) = self.of(task) {
            waiting.is_followed = true;
        }
    }

    /// Starts reporting the states of a task. Returns whether the task is one of these.
    pub(super) fn watch(&mut self, task: Uuid) -> bool {
        let waiting = self.of(task);
        if let Some(waiting) = &waiting {
            waiting.cell.watch(task);
        }
        waiting.is_some()
    }

    fn of(&mut self, task: Uuid) -> Option<&mut Waiting> {
        self.waiting.values_mut().find(|waiting| waiting.task == task)
    }
}
