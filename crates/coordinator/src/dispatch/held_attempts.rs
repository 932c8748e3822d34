//! Compares the attempts that an agent holds with those that the store says it holds.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use mitosis_background::Background;
use mitosis_domain::ids::{TaskId, WorkerId};
use mitosis_protocol::Timestamp;
use mitosis_protocol::agent::AttemptRef;
use mitosis_protocol::worker::WorkerState;
use mitosis_store::ops::workers::HeldAttempts;
use mitosis_store::{Store, StoreError};
use tokio::sync::{mpsc, oneshot};

/// How long a new assignment may take to reach the agent.
const DELIVERY_TIME: Duration = Duration::from_secs(5);
/// How long the first request waits for others.
const WINDOW: Duration = Duration::from_millis(10);
/// How long it waits shortly after another batch: many agents cost little more than a few.
const BUSY_WINDOW: Duration = Duration::from_millis(200);
/// The largest number of agents in one statement.
const BATCH: usize = 1_000;

/// The differences between an agent and the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    /// Attempts that the agent no longer holds.
    pub(crate) dropped: Vec<AttemptRef>,
    /// Attempts that a user has requested to stop.
    pub(crate) stop: Vec<AttemptRef>,
    /// Attempts that the agent does not know of.
    pub(crate) unknown: Vec<TaskId>,
    /// Whether the agent is draining.
    pub(crate) drain: bool,
}

/// Compares the attempts that an agent holds with those in the store. With `resync`, no assignment can still be in
/// transit.
pub(crate) fn compare(
    held: &[AttemptRef],
    known: &HeldAttempts,
    resync: bool,
    now: Timestamp,
) -> Differences {
    let reported: HashSet<AttemptRef> = held.iter().copied().collect();
    let mut stored: HashSet<AttemptRef> = HashSet::with_capacity(known.attempts.len());
    let mut differences =
        Differences { drain: known.state == WorkerState::GracefulShutdown, ..Differences::default() };
    for attempt in &known.attempts {
        let named = AttemptRef { id: attempt.task.0, epoch: attempt.epoch };
        stored.insert(named);
        // The request may be older than the attempt, so an attempt that it does not list can be running.
        if attempt.stop_asked {
            differences.stop.push(named);
        }
        if !reported.contains(&named) && (resync || attempt.claimed_at + DELIVERY_TIME <= now) {
            differences.unknown.push(attempt.task);
        }
    }
    differences.dropped = held.iter().copied().filter(|named| !stored.contains(named)).collect();
    differences
}

type Answer = Result<Option<HeldAttempts>, Arc<StoreError>>;
type Request = (WorkerId, oneshot::Sender<Answer>);

/// Reads the held attempts of many agents in one query; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct HeldAttemptsReader(mpsc::Sender<Request>);

impl HeldAttemptsReader {
    /// Starts the task that reads batches.
    pub(crate) fn start(background: &Background, store: Arc<dyn Store>) -> Self {
        let (sender, receiver) = mpsc::channel(BATCH);
        background.spawn_serving("held-attempts", read_batches(store, receiver));
        Self(sender)
    }

    /// The attempts that an agent holds; `None` if it is no longer registered.
    pub(crate) async fn of(&self, worker: WorkerId) -> Answer {
        let (reply, answer) = oneshot::channel();
        if self.0.send((worker, reply)).await.is_err() {
            return Err(Arc::new(StoreError::Closed));
        }
        answer.await.unwrap_or_else(|_| Err(Arc::new(StoreError::Closed)))
    }
}

async fn read_batches(store: Arc<dyn Store>, mut requests: mpsc::Receiver<Request>) {
    let mut last = None;
    while let Some(first) = requests.recv().await {
        let mut batch = vec![first];
        tokio::time::sleep(super::renewals::window(last, WINDOW, BUSY_WINDOW)).await;
        while batch.len() < BATCH
            && let Ok(next) = requests.try_recv()
        {
            batch.push(next);
        }
        last = Some(tokio::time::Instant::now());
        let workers: Vec<WorkerId> = batch.iter().map(|(worker, _)| *worker).collect();
        let mut known: Result<HashMap<_, _>, _> = store.held_attempts(&workers).await.map_err(Arc::new);
        for (worker, reply) in batch {
            let answer = match &mut known {
                // A batch may have two requests of one agent.
                Ok(known) => Ok(known.get(&worker).cloned()),
                Err(error) => Err(error.clone()),
            };
            // The caller may have cancelled the request.
            let _ = reply.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::Epoch;
    use mitosis_store::ops::workers::HeldAttempt;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_micros(1_900_000_000_000_000);

    fn attempt(id: i64, seconds_ago: u64, stop_asked: bool) -> HeldAttempt {
        let claimed_at = NOW - Duration::from_secs(seconds_ago);
        HeldAttempt { task: TaskId(id), epoch: Epoch::FIRST, claimed_at, stop_asked }
    }

    fn named(id: i64) -> AttemptRef {
        AttemptRef { id, epoch: Epoch::FIRST }
    }

    #[test]
    fn equal_attempts_have_no_differences() {
        let known = HeldAttempts { state: WorkerState::Normal, attempts: vec![attempt(1, 60, false)] };
        assert_eq!(compare(&[named(1)], &known, false, NOW), Differences::default());
    }

    #[test]
    fn foreign_attempt_is_dropped_and_stop_is_reported() {
        let known = HeldAttempts {
            state: WorkerState::GracefulShutdown,
            attempts: vec![attempt(1, 60, true), attempt(2, 1, false)],
        };
        let older = AttemptRef { id: 2, epoch: Epoch::ZERO };
        let expected = Differences {
            dropped: vec![older, named(3)],
            stop: vec![named(1)],
            unknown: vec![],
            drain: true,
        };
        assert_eq!(compare(&[named(1), older, named(3)], &known, false, NOW), expected);
    }

    #[test]
    fn attempt_younger_than_the_request_is_stopped_at_once() {
        let known = HeldAttempts { state: WorkerState::Normal, attempts: vec![attempt(2, 1, true)] };
        let differences = compare(&[], &known, false, NOW);
        assert_eq!((differences.stop, differences.unknown), (vec![named(2)], vec![]));
    }

    #[test]
    fn unknown_attempt_is_reported_after_the_delivery_time() {
        let known = HeldAttempts {
            state: WorkerState::Normal,
            attempts: vec![attempt(1, 4, false), attempt(2, 5, false)],
        };
        assert_eq!(compare(&[], &known, false, NOW).unknown, [TaskId(2)]);
        assert_eq!(compare(&[], &known, true, NOW).unknown, [TaskId(1), TaskId(2)]);
    }
}
