//! The model of workers: registration, heartbeats, removal.

use std::time::Duration;

use mitosis_domain::limits::{OVERDUE_GRACE, PREPARATION_ALLOWANCE};
use mitosis_protocol::Timestamp;
use mitosis_protocol::worker::ShutdownOp;
use mitosis_store::ops::reaper::ReapReason;
use mitosis_store::ops::workers::{Fate, Stop};

use super::world::{Outcome, Presence, Worker, World};
use crate::harness::LEASE;

/// The timeout of the harness's tasks.
const TIMEOUT: Duration = Duration::from_mins(10);

impl World {
    pub(super) fn register(&mut self, gpu: bool, listens: bool) -> Outcome {
        let lease_until = self.now + LEASE;
        self.workers.push(Worker { gpu, listens, state: Presence::Here, lease_until });
        Outcome::Done
    }

    pub(super) fn is_there(&self, worker: usize) -> bool {
        self.workers[worker].state != Presence::Gone
    }

    pub(super) fn renew(&mut self, worker: usize) -> Outcome {
        let there = self.is_there(worker);
        if there {
            self.workers[worker].lease_until = self.now + LEASE;
        }
        Outcome::Alive(there)
    }

    /// Removes a worker; returns the tasks that wait again, or are cancelled.
    fn remove(&mut self, worker: usize, fate: Fate) -> Vec<usize> {
        self.workers[worker].state = Presence::Gone;
        self.held_by(worker).into_iter().map(|attempt| self.lose(attempt, fate)).collect()
    }

    pub(super) fn stop(&mut self, worker: usize, op: ShutdownOp) -> Stop {
        if !self.is_there(worker) {
            return Stop::Unknown;
        }
        if op == ShutdownOp::Graceful && !self.held_by(worker).is_empty() {
            self.workers[worker].state = Presence::Stopping;
            return Stop::Marked;
        }
        self.remove(worker, Fate::Returned);
        Stop::Removed
    }

    pub(super) fn reap(&mut self, limit: usize) -> Outcome {
        let mut reaped = Vec::new();
        for (reason, due_since) in [
            (ReapReason::Silent, Self::silent_since as fn(&Self, usize) -> Option<Timestamp>),
            (ReapReason::Overdue, Self::overdue_since),
        ] {
            let mut due: Vec<(Timestamp, usize)> = (0..self.workers.len())
                .filter(|worker| self.is_there(*worker))
                .filter_map(|worker| Some((due_since(self, worker)?, worker)))
                .filter(|(since, _)| *since <= self.now)
                .collect();
            due.sort_unstable();
            for (_, worker) in due.into_iter().take(limit - reaped.len()) {
                reaped.push((worker, reason, self.remove(worker, Fate::WorkerLost)));
            }
        }
        Outcome::Reaped(reaped)
    }

    #[expect(clippy::unnecessary_wraps, reason = "the other reason may not apply")]
    fn silent_since(&self, worker: usize) -> Option<Timestamp> {
        Some(self.workers[worker].lease_until)
    }

    fn overdue_since(&self, worker: usize) -> Option<Timestamp> {
        self.held_by(worker)
            .into_iter()
            .filter(|attempt| self.attempts[*attempt].reported.is_none())
            .map(|attempt| {
                self.attempts[attempt].claimed_at + TIMEOUT + PREPARATION_ALLOWANCE + OVERDUE_GRACE
            })
            .min()
    }
}
