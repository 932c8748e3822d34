//! The slots of an agent: each runs one task at a time, and hears what is said about it.

use std::sync::Arc;

use mitosis_protocol::agent::{AssignedTask, AttemptKey, EndedTask};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::hand::key;
use crate::insist::Waits;
use crate::run::{self, Done, Lost, Orders, Place};
use crate::session::Session;

/// What happens in a slot.
pub(super) enum SlotEvent {
    /// A task left it. It takes the next one, unless the task could not be started.
    Left(Left),
    /// The slot with this number takes tasks again.
    Ready(usize),
}

/// A task that left its slot.
pub(super) struct Left {
    pub(super) key: AttemptKey,
    pub(super) outcome: Result<EndedTask, Lost>,
}

/// All slots. Dropping them kills what runs.
pub(super) struct Slots {
    orders: Vec<watch::Sender<Orders>>,
    doors: Vec<mpsc::Sender<AssignedTask>>,
    events: mpsc::UnboundedReceiver<SlotEvent>,
    tasks: JoinSet<()>,
}

impl Slots {
    /// Opens one slot for each place.
    pub(super) fn open(session: &Arc<Session>, places: Vec<Place>) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let (mut orders, mut doors, mut tasks) = (Vec::new(), Vec::new(), JoinSet::new());
        for (number, place) in places.into_iter().enumerate() {
            let (order, ordered) = watch::channel(Orders::default());
            let (door, inbox) = mpsc::channel(1);
            let slot =
                Slot { number, session: session.clone(), place, orders: ordered, events: sender.clone() };
            tasks.spawn(slot.serve(inbox).instrument(tracing::info_span!("slot", number)));
            orders.push(order);
            doors.push(door);
        }
        Self { orders, doors, events, tasks }
    }

    /// Starts a task in a slot that is free.
    pub(super) fn start(&self, slot: usize, task: AssignedTask) {
        self.orders[slot].send_replace(Orders::default());
        self.doors[slot].try_send(task).expect("a free slot takes a task");
    }

    /// Says something about the task in a slot.
    pub(super) fn order(&self, slot: usize, change: impl FnOnce(&mut Orders)) {
        self.orders[slot].send_modify(change);
    }

    /// What happens next.
    pub(super) async fn next(&mut self) -> SlotEvent {
        self.events.recv().await.expect("the slots live as long as this")
    }

    /// Kills what runs, and waits until it is dead.
    pub(super) async fn close(mut self) {
        self.tasks.shutdown().await;
    }
}

struct Slot {
    number: usize,
    session: Arc<Session>,
    place: Place,
    orders: watch::Receiver<Orders>,
    events: mpsc::UnboundedSender<SlotEvent>,
}

impl Slot {
    async fn serve(self, mut inbox: mpsc::Receiver<AssignedTask>) {
        let mut waits = Waits::new(&*self.session.settings.entropy);
        while let Some(task) = inbox.recv().await {
            let key = key(&task);
            let outcome =
                run::run(&self.session, &self.place, task.task, Some((key, self.orders.clone()))).await;
            let outcome = outcome.map(|Done { cancelled, result, left_archives, data, warnings }| {
                EndedTask { key, cancelled, result, left_archives, data, warnings }
            });
            let is_in_trouble = matches!(outcome, Err(Lost::NotStarted));
            if self.events.send(SlotEvent::Left(Left { key, outcome })).is_err() {
                return;
            }
            match is_in_trouble {
                true => {
                    self.recover(&mut waits).await;
                    if self.events.send(SlotEvent::Ready(self.number)).is_err() {
                        return;
                    }
                }
                false => {
                    waits.reset();
                    self.place.scratch.clear().await;
                }
            }
        }
    }

    /// Ends when there is a reason to believe that the next task can be started. The pauses grow while
    /// that turns out to be wrong.
    async fn recover(&self, waits: &mut Waits<'_>) {
        tracing::warn!("this slot takes no tasks until it can start one; the others go on");
        loop {
            waits.pause().await;
            match self.place.scratch.freshen(false).await {
                Ok(_) => return tracing::info!("this slot takes tasks again"),
                Err(error) => tracing::debug!(%error, "the scratch directory can't be made ready yet"),
            }
        }
    }
}
