//! The model: the state of the store, and the effect of each move.

use std::collections::BTreeMap;
use std::time::Duration;

use mitosis_domain::task::ExecEnd;
use mitosis_protocol::{Epoch, TaskResultMessage, Timestamp};
use mitosis_store::ops::dispatch::Completed;
use mitosis_store::ops::reaper::ReapReason;
use mitosis_store::ops::workers::Stop;
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::moves::{self, Move};

/// The state of the store; tasks, workers and attempts are named by their index.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) tasks: Vec<Task>,
    pub(super) workers: Vec<Worker>,
    pub(super) attempts: Vec<Attempt>,
    /// The request of each key, and its tasks.
    pub(super) keys: BTreeMap<u8, (u8, Vec<usize>)>,
    /// The expected outcome of the last move.
    pub(super) answer: Outcome,
}

#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) priority: i32,
    pub(super) gpu: bool,
    pub(super) epoch: Epoch,
    pub(super) losses: i64,
    pub(super) upstream: Option<usize>,
    pub(super) downstream: Option<usize>,
    pub(super) place: ModelPhase,
}

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModelPhase {
    /// It waits for the commit of its upstream.
    Pending,
    Ready,
    /// This attempt holds it.
    Held(usize),
    Cancelled {
        at: Timestamp,
        why: TaskResultMessage,
    },
    /// This attempt committed it.
    Committed {
        attempt: usize,
        end: ExecEnd,
        exit_status: i32,
        at: Timestamp,
    },
    /// A follow-up that was replaced, or whose attempt was lost.
    Dropped,
}

#[derive(Debug, Clone)]
pub(super) struct Worker {
    pub(super) gpu: bool,
    /// Whether it can be requested to stop a task.
    pub(super) listens: bool,
    pub(super) state: Presence,
    pub(super) lease_until: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Here,
    Stopping,
    Gone,
}

#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) task: usize,
    pub(super) worker: usize,
    pub(super) epoch: Epoch,
    pub(super) claimed_at: Timestamp,
    pub(super) reported: Option<ExecEnd>,
    pub(super) stop_requested: bool,
}

/// The outcome of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Accepted(Vec<usize>),
    Replayed(Vec<usize>),
    KeyReused,
    /// Tasks with their attempts.
    Assigned(Vec<(usize, usize)>),
    WorkerGone,
    Stopping,
    /// For each agent: the verdicts on its ended attempts, and its new tasks.
    Exchanged(Vec<(Vec<Completed>, Outcome)>),
    StopRequested(usize),
    LegacyWorker,
    NotRunning,
    NotHeld,
    Recorded,
    Completed(Completed),
    TooEarly,
    Reserved,
    Cancelled(Vec<usize>),
    Changed(bool),
    Alive(bool),
    Stopped(Stop),
    Reaped(Vec<(usize, ReapReason, Vec<usize>)>),
}

impl World {
    /// Makes one move; returns the outcome that the store must have.
    fn make(&mut self, next: &Move) -> Outcome {
        match next {
            Move::Submit { shapes, key } => self.submit(shapes, *key),
            Move::Register { gpu, listens } => self.register(*gpu, *listens),
            Move::Exchange { parts } => self.exchange(parts),
            Move::RequestStop { task } => self.request_stop(*task),
            Move::Claim { worker, count } => self.claim(*worker, *count),
            Move::Fetch { worker } => self.fetch(*worker),
            Move::Report { attempt, way, end } => self.report(self.meant(*attempt, *way), *end),
            Move::Complete { attempt, way, end, exit_status } => {
                Outcome::Completed(self.complete(self.meant(*attempt, *way), *end, *exit_status))
            }
            Move::FollowUp { attempt, way, shape } => self.follow_up(self.meant(*attempt, *way), *shape),
            Move::Announce { attempt, way, .. } => {
                if self.holds(self.meant(*attempt, *way)) {
                    Outcome::Reserved
                } else {
                    Outcome::NotHeld
                }
            }
            Move::Cancel { tasks, pending_too } => self.cancel(tasks, *pending_too),
            Move::Prioritise { task, priority } => self.prioritise(*task, *priority),
            Move::Renew { worker } => self.renew(*worker),
            Move::Stop { worker, op } => Outcome::Stopped(self.stop(*worker, *op)),
            Move::Pass { seconds } => {
                self.now = self.now + Duration::from_secs(*seconds);
                Outcome::Done
            }
            Move::Reap { limit } => self.reap(*limit as usize),
            Move::Restart => Outcome::Done,
        }
    }
}

impl ReferenceStateMachine for World {
    type State = Self;
    type Transition = Move;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self {
            now: Timestamp::from_unix_micros(1_928_423_045_250_000),
            tasks: Vec::new(),
            workers: Vec::new(),
            attempts: Vec::new(),
            keys: BTreeMap::new(),
            answer: Outcome::Done,
        })
        .boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Move> {
        moves::next(state)
    }

    fn preconditions(state: &Self, transition: &Move) -> bool {
        moves::is_possible(state, transition)
    }

    fn apply(mut state: Self, transition: &Move) -> Self {
        state.answer = state.make(transition);
        state
    }
}
