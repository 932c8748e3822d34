//! Reports the execution state of tasks to their watchers (semantics §6, §10).
//!
//! With a native coordinator, states travel in reports, and only for tasks that are watched. With a legacy
//! coordinator, they are announced on Redis, as 0.6.8 workers do. Nothing waits for either.

pub(crate) mod redis;
pub(crate) mod state_queue;

use std::sync::Arc;
use std::time::Duration;

use mitosis_protocol::{ExecState, Uuid};

use redis::Announcer;
use state_queue::StateCell;

/// Reports the states of the tasks of one slot.
#[derive(Debug, Clone, Default)]
pub(crate) enum StateReporter {
    /// No reports: a legacy coordinator without Redis.
    #[default]
    Silent,
    /// Announcements on Redis for a legacy coordinator.
    Redis(Arc<Announcer>),
    /// Reports to a native coordinator.
    Report(Arc<StateCell>),
}

impl StateReporter {
    /// Reports a state of a task whose timeout is `timeout`.
    pub(crate) fn report(&self, task: Uuid, state: ExecState, timeout: Duration) {
        match self {
            Self::Silent => {}
            Self::Redis(announcer) => announcer.announce(task, state, timeout),
            Self::Report(cell) => cell.set(task, state),
        }
    }

    /// With a legacy coordinator, a worker that abandons its task announces this. A native coordinator does it
    /// itself.
    pub(crate) fn exit_notice(&self, task: Uuid) -> ExitNotice {
        match self {
            Self::Redis(announcer) => ExitNotice(Some((announcer.clone(), task))),
            Self::Silent | Self::Report(_) => ExitNotice(None),
        }
    }
}

/// Announces that the worker exited when it is dropped before the end of its task.
pub(crate) struct ExitNotice(Option<(Arc<Announcer>, Uuid)>);

impl ExitNotice {
    /// Ends the notice: the task has ended, or another worker has it.
    pub(crate) fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for ExitNotice {
    fn drop(&mut self) {
        if let Some((announcer, task)) = &self.0 {
            announcer.announce(*task, ExecState::WorkerExited, Duration::ZERO);
        }
    }
}
