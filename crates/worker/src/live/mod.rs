//! How far this worker is with its tasks, told to whoever watches them (semantics §6, §10).
//!
//! To a coordinator of ours, states travel in reports, and only where they matter to somebody. Beside an old
//! coordinator, they are announced on Redis, as published workers do. Nothing waits for either.

pub(crate) mod redis;
pub(crate) mod reported;

use std::sync::Arc;
use std::time::Duration;

use mitosis_protocol::{ExecState, Uuid};

use redis::Announcer;
use reported::Cell;

/// Takes the states of the tasks of one slot.
#[derive(Debug, Clone, Default)]
pub(crate) enum Herald {
    /// To an old coordinator without Redis.
    #[default]
    Silent,
    /// To an old coordinator with Redis.
    Redis(Arc<Announcer>),
    /// To a coordinator of ours.
    Report(Arc<Cell>),
}

impl Herald {
    /// A task that may run this long came to a state.
    pub(crate) fn tell(&self, task: Uuid, state: ExecState, timeout: Duration) {
        match self {
            Self::Silent => {}
            Self::Redis(announcer) => announcer.announce(task, state, timeout),
            Self::Report(cell) => cell.tell(task, state),
        }
    }

    /// Beside an old coordinator, a worker that leaves its task says so. One of ours does it itself.
    pub(crate) fn holds(&self, task: Uuid) -> Hold {
        match self {
            Self::Redis(announcer) => Hold(Some((announcer.clone(), task))),
            Self::Silent | Self::Report(_) => Hold(None),
        }
    }
}

/// A task that this worker has. Dropping it says that the worker went away.
pub(crate) struct Hold(Option<(Arc<Announcer>, Uuid)>);

impl Hold {
    /// The task is over, or another worker has it.
    pub(crate) fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some((announcer, task)) = &self.0 {
            announcer.announce(*task, ExecState::WorkerExited, Duration::ZERO);
        }
    }
}
