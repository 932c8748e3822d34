//! The slots of an agent. Each runs one task at a time, under the control of the coordinator.

use std::sync::Arc;

use mitosis_domain::task::ExecEnd;
use mitosis_protocol::Granted;
use mitosis_protocol::agent::{AssignedTask, AttemptKey, EndedTask};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::state::key;
use crate::retry::BackoffTimer;
use crate::run::scratch::OutputMode;
use crate::run::{self, AttemptError, AttemptOutcome, SlotContext, TaskControl};
use crate::session::Session;

/// An event in a slot.
pub(super) enum SlotEvent {
    /// A task left its slot. The slot is free, unless the task could not be started.
    Exited(SlotExit),
    /// The slot with this number accepts tasks again.
    Ready(usize),
}

/// A task that left its slot, and its outcome.
pub(super) struct SlotExit {
    pub(super) key: AttemptKey,
    pub(super) outcome: Result<EndedTask, AttemptError>,
}

/// All slots of an agent. Dropping them kills the running tasks.
pub(super) struct Slots {
    controls: Vec<watch::Sender<TaskControl>>,
    senders: Vec<mpsc::Sender<(AssignedTask, Granted)>>,
    events: mpsc::UnboundedReceiver<SlotEvent>,
    tasks: JoinSet<()>,
}

impl Slots {
    /// Opens one slot for each context.
    pub(super) fn open(session: &Arc<Session>, contexts: Vec<SlotContext>) -> Self {
        let (event_sender, events) = mpsc::unbounded_channel();
        let (mut controls, mut senders, mut tasks) = (Vec::new(), Vec::new(), JoinSet::new());
        for (number, context) in contexts.into_iter().enumerate() {
            let (control, control_receiver) = watch::channel(TaskControl::default());
            let (sender, assigned) = mpsc::channel(1);
            let slot = Slot {
                number,
                session: session.clone(),
                context,
                controls: control_receiver,
                events: event_sender.clone(),
            };
            tasks.spawn(slot.serve(assigned).instrument(tracing::info_span!("slot", number)));
            controls.push(control);
            senders.push(sender);
        }
        Self { controls, senders, events, tasks }
    }

    /// Starts a task in a free slot.
    pub(super) fn start(&self, slot: usize, task: AssignedTask, granted: Granted) {
        self.controls[slot].send_replace(TaskControl::default());
        self.senders[slot].try_send((task, granted)).expect("a free slot accepts a task");
    }

    /// Changes the control state of the task in a slot.
    pub(super) fn control(&self, slot: usize, change: impl FnOnce(&mut TaskControl)) {
        self.controls[slot].send_modify(change);
    }

    /// Waits for the next event.
    pub(super) async fn next(&mut self) -> SlotEvent {
        self.events.recv().await.expect("the senders live as long as the slots")
    }

    /// Kills all running tasks and waits until they are dead.
    pub(super) async fn close(mut self) {
        self.tasks.shutdown().await;
    }
}

struct Slot {
    number: usize,
    session: Arc<Session>,
    context: SlotContext,
    controls: watch::Receiver<TaskControl>,
    events: mpsc::UnboundedSender<SlotEvent>,
}

impl Slot {
    async fn serve(self, mut assigned: mpsc::Receiver<(AssignedTask, Granted)>) {
        let mut backoff = BackoffTimer::new(&*self.session.context.settings.entropy);
        while let Some((task, granted)) = assigned.recv().await {
            let key = key(&task);
            let outcome = run::run(
                &self.session.context,
                &self.context,
                task.task,
                granted,
                Some((key, self.controls.clone())),
            )
            .await;
            let outcome = outcome.map(
                |AttemptOutcome { end, result, left_archives, data, warnings, archives, usage }| {
                    let cancelled = end == ExecEnd::Cancelled;
                    EndedTask { key, cancelled, result, left_archives, data, warnings, archives, usage }
                },
            );
            let could_not_start = matches!(outcome, Err(AttemptError::NotStarted));
            if self.events.send(SlotEvent::Exited(SlotExit { key, outcome })).is_err() {
                return;
            }
            match could_not_start {
                true => {
                    self.recover(&mut backoff).await;
                    if self.events.send(SlotEvent::Ready(self.number)).is_err() {
                        return;
                    }
                }
                false => {
                    backoff.reset();
                    self.context.scratch.clear().await;
                }
            }
        }
    }

    /// Waits until the next task can probably be started. The pauses grow with each failure.
    async fn recover(&self, backoff: &mut BackoffTimer<'_>) {
        tracing::warn!("the slot takes no tasks for a while: it could not start one");
        loop {
            backoff.pause().await;
            match self.context.scratch.freshen(OutputMode::Discard).await {
                Ok(_) => return tracing::info!("the slot takes tasks again"),
                Err(error) => tracing::debug!(%error, "failed to prepare the scratch directory"),
            }
        }
    }
}
