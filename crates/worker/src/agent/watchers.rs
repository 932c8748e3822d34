//! Tasks that wait for another task, outside of the slots.

use std::collections::HashMap;
use std::sync::Arc;

use mitosis_protocol::Uuid;
use mitosis_protocol::agent::{AssignedTask, AttemptRef};
use tokio::task::{AbortHandle, JoinSet};
use tracing::Instrument as _;

use super::hand::named;
use crate::live::Herald;
use crate::live::reported::{Cell, Outbox};
use crate::run::{self, Lost};
use crate::session::Session;

/// The watching tasks of an agent. Dropping it ends their watching.
pub(super) struct Watchers {
    session: Arc<Session>,
    outbox: Arc<Outbox>,
    waiting: HashMap<AttemptRef, Waiting>,
    running: JoinSet<Watched>,
}

struct Waiting {
    task: Uuid,
    cell: Arc<Cell>,
    is_followed: bool,
    handle: AbortHandle,
}

/// A task that watches no more.
pub(super) struct Watched {
    pub(super) task: AssignedTask,
    /// Whether the other task came far enough in time.
    pub(super) outcome: Result<bool, Lost>,
}

/// Who wants to hear of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interest {
    pub(super) is_watched: bool,
    pub(super) is_followed: bool,
}

impl Watchers {
    pub(super) fn new(session: Arc<Session>, outbox: Arc<Outbox>) -> Self {
        Self { session, outbox, waiting: HashMap::new(), running: JoinSet::new() }
    }

    /// Begins to wait for what a task watches.
    pub(super) fn start(&mut self, task: AssignedTask, is_watched: bool) {
        let (attempt, uuid) = (named(&task), task.task.uuid);
        let cell = Arc::new(Cell::new(self.outbox.clone()));
        cell.begin(is_watched);
        let (session, herald) = (self.session.clone(), Herald::Report(cell.clone()));
        let watch = async move {
            let outcome = run::watch(&session, &herald, &task.task).await;
            Watched { task, outcome }
        };
        let handle = self.running.spawn(watch.instrument(tracing::info_span!("watch", task = %uuid)));
        self.waiting.insert(attempt, Waiting { task: uuid, cell, is_followed: false, handle });
    }

    /// The next task that watches no more, unless it was called off.
    pub(super) async fn next(&mut self) -> Watched {
        loop {
            match self.running.join_next().await {
                Some(Ok(watched)) if self.waiting.contains_key(&named(&watched.task)) => return watched,
                Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// A task watches no more. Answers who wants to hear of it.
    pub(super) fn end(&mut self, attempt: AttemptRef) -> Option<Interest> {
        let Waiting { cell, is_followed, handle, .. } = self.waiting.remove(&attempt)?;
        handle.abort();
        Some(Interest { is_watched: cell.is_wanted(), is_followed })
    }

    pub(super) fn end_all(&mut self) {
        self.waiting.clear();
        self.running.abort_all();
    }

    /// Somebody waits for the output of a task.
    pub(super) fn follow(&mut self, task: Uuid) {
        if let Some(waiting) = self.of(task) {
            waiting.is_followed = true;
        }
    }

    /// Somebody watches a task; answers whether it is one of these.
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
