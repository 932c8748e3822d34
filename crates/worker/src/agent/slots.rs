//! The slots of an agent: each runs one task at a time, and hears what is said about it.

use std::sync::Arc;

use mitosis_protocol::agent::{AssignedTask, AttemptRef, EndedTask};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::hand::{key, named};
use crate::run::{self, Done, Lost, Orders, Place};
use crate::session::Session;

/// A task that left its slot.
pub(super) struct Left {
    pub(super) attempt: AttemptRef,
    pub(super) outcome: Result<EndedTask, Lost>,
}

/// All slots. Dropping them kills what runs.
pub(super) struct Slots {
    orders: Vec<watch::Sender<Orders>>,
    doors: Vec<mpsc::Sender<AssignedTask>>,
    left: mpsc::UnboundedReceiver<Left>,
    tasks: JoinSet<()>,
}

impl Slots {
    /// Opens one slot for each place.
    pub(super) fn open(session: &Arc<Session>, places: Vec<Place>) -> Self {
        let (sender, left) = mpsc::unbounded_channel();
        let (mut orders, mut doors, mut tasks) = (Vec::new(), Vec::new(), JoinSet::new());
        for (number, place) in places.into_iter().enumerate() {
            let (order, ordered) = watch::channel(Orders::default());
            let (door, inbox) = mpsc::channel(1);
            let slot = Slot { session: session.clone(), place, orders: ordered, left: sender.clone() };
            tasks.spawn(slot.serve(inbox).instrument(tracing::info_span!("slot", number)));
            orders.push(order);
            doors.push(door);
        }
        Self { orders, doors, left, tasks }
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

    /// The next task that leaves its slot.
    pub(super) async fn next(&mut self) -> Left {
        self.left.recv().await.expect("the slots live as long as this")
    }

    /// Kills what runs, and waits until it is dead.
    pub(super) async fn close(mut self) {
        self.tasks.shutdown().await;
    }
}

struct Slot {
    session: Arc<Session>,
    place: Place,
    orders: watch::Receiver<Orders>,
    left: mpsc::UnboundedSender<Left>,
}

impl Slot {
    async fn serve(self, mut inbox: mpsc::Receiver<AssignedTask>) {
        while let Some(task) = inbox.recv().await {
            let (attempt, key) = (named(&task), key(&task));
            let outcome =
                run::run(&self.session, &self.place, task.task, Some((key, self.orders.clone()))).await;
            let outcome = outcome.map(|Done { cancelled, result, left_archives, data, .. }| EndedTask {
                key,
                cancelled,
                result,
                left_archives,
                data,
            });
            if self.left.send(Left { attempt, outcome }).is_err() {
                return;
            }
        }
    }
}
