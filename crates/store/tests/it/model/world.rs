//! The model: what there is, and what each move does to it.

use std::collections::BTreeMap;
use std::time::Duration;

use mitosis_domain::task::ExecEnd;
use mitosis_protocol::{TaskResultMessage, Timestamp};
use mitosis_store::ops::dispatch::Completed;
use mitosis_store::ops::reaper::ReapReason;
use mitosis_store::ops::workers::Stop;
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::moves::{self, Move};

/// Everything there is, each thing named by its place in the list.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) tasks: Vec<Task>,
    pub(super) workers: Vec<Worker>,
    pub(super) attempts: Vec<Attempt>,
    /// Which request came with a key, and the tasks it made.
    pub(super) keys: BTreeMap<u8, (u8, Vec<usize>)>,
    /// What the last move must be answered with.
    pub(super) answer: Answer,
}

#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) priority: i32,
    pub(super) gpu: bool,
    pub(super) epoch: i64,
    pub(super) losses: i64,
    pub(super) upstream: Option<usize>,
    pub(super) downstream: Option<usize>,
    pub(super) place: Place,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Until its upstream is committed.
    Pending,
    Ready,
    /// By this attempt.
    Held(usize),
    Cancelled {
        at: Timestamp,
        why: TaskResultMessage,
    },
    /// By this attempt.
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
    /// It can be asked to stop what it runs.
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
    pub(super) epoch: i64,
    pub(super) claimed_at: Timestamp,
    pub(super) reported: Option<ExecEnd>,
    pub(super) stop_asked: bool,
}

/// The answer to a move, whichever it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Accepted(Vec<usize>),
    Replayed(Vec<usize>),
    KeyReused,
    /// Tasks with the attempts at them.
    Given(Vec<(usize, usize)>),
    WorkerGone,
    Stopping,
    /// To each agent: what became of its ends, and what it is given.
    Exchanged(Vec<(Vec<Completed>, Answer)>),
    AskedOf(usize),
    Deaf,
    NotRunning,
    NotHeld,
    Noted,
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
    /// Makes one move; answers what the store must answer.
    fn make(&mut self, next: &Move) -> Answer {
        match next {
            Move::Submit { wishes, key } => self.submit(wishes, *key),
            Move::Register { gpu, listens } => self.register(*gpu, *listens),
            Move::Exchange { parts } => self.exchange(parts),
            Move::AskToStop { task } => self.ask_to_stop(*task),
            Move::Claim { worker, count } => self.claim(*worker, *count),
            Move::Fetch { worker } => self.fetch(*worker),
            Move::Report { attempt, way, end } => self.report(self.meant(*attempt, *way), *end),
            Move::Complete { attempt, way, end, exit_status } => {
                Answer::Completed(self.complete(self.meant(*attempt, *way), *end, *exit_status))
            }
            Move::FollowUp { attempt, way, wish } => self.follow_up(self.meant(*attempt, *way), *wish),
            Move::Announce { attempt, way, .. } => {
                if self.holds(self.meant(*attempt, *way)) {
                    Answer::Reserved
                } else {
                    Answer::NotHeld
                }
            }
            Move::Cancel { tasks, pending_too } => self.cancel(tasks, *pending_too),
            Move::Prioritise { task, priority } => self.prioritise(*task, *priority),
            Move::Renew { worker } => self.renew(*worker),
            Move::Stop { worker, op } => Answer::Stopped(self.stop(*worker, *op)),
            Move::Pass { seconds } => {
                self.now = self.now + Duration::from_secs(*seconds);
                Answer::Done
            }
            Move::Reap { limit } => self.reap(*limit as usize),
            Move::Restart => Answer::Done,
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
            answer: Answer::Done,
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
