//! Which tasks watch another task, and so need no slot yet: pure bookkeeping.
//!
//! The watched task may be behind them in the queue, so the slots stay free for it. Tasks beyond the limit are
//! returned, and the agent requests more tasks at once to reach those behind them.

use std::collections::HashMap;
use std::time::Duration;

use mitosis_protocol::agent::{AssignedTask, AttemptKey, AttemptRef, MAX_BATCH};
use tokio::time::Instant;

use super::state::{attempt_ref, key};

/// The maximum number of watching tasks for each slot, and the minimum limit of an agent with few slots.
const MAX_PER_SLOT: usize = 4;
const MIN_CAPACITY: usize = 16;
/// After only watching tasks arrived and were returned, the agent requests nothing for this long, and longer
/// each time.
const REST: Duration = Duration::from_millis(200);
const MAX_RESTS: u32 = 10;

#[derive(Debug)]
pub(super) struct WatchState {
    most: usize,
    keys: HashMap<AttemptRef, AttemptKey>,
    /// Tasks that have not started watching.
    new: Vec<AssignedTask>,
    /// How many tasks to request beyond those that can run.
    beyond: usize,
    rests: u32,
    rest_until: Option<Instant>,
}

impl WatchState {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            most: (slots * MAX_PER_SLOT).max(MIN_CAPACITY),
            keys: HashMap::new(),
            new: Vec::new(),
            beyond: 0,
            rests: 0,
            rest_until: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn contains(&self, attempt: AttemptRef) -> bool {
        self.keys.contains_key(&attempt)
    }

    pub(super) fn slot_tasks(&self) -> impl Iterator<Item = AttemptRef> {
        self.keys.keys().copied()
    }

    pub(super) fn has_space(&self) -> bool {
        self.keys.len() < self.most
    }

    /// Accepts a task that watches another one.
    pub(super) fn admit(&mut self, task: AssignedTask) {
        self.keys.insert(attempt_ref(&task), key(&task));
        self.new.push(task);
    }

    /// Takes the tasks that have to start watching.
    pub(super) fn take_new(&mut self) -> Vec<AssignedTask> {
        let mut new = std::mem::take(&mut self.new);
        new.retain(|task| self.contains(attempt_ref(task)));
        new
    }

    /// Removes a task that has ended watching.
    pub(super) fn remove(&mut self, attempt: AttemptRef) -> Option<AttemptKey> {
        let key = self.keys.remove(&attempt)?;
        // There is room again for a task that was returned.
        (self.beyond, self.rests, self.rest_until) = (0, 0, None);
        Some(key)
    }

    pub(super) fn take_all(&mut self) -> Vec<AttemptKey> {
        self.keys.drain().map(|(_, key)| key).collect()
    }

    /// Notes how many tasks of a batch exceeded the limit, and whether the batch had no others.
    pub(super) fn note_rejected(&mut self, count: usize, alone: bool, now: Instant) {
        self.beyond = (count * 2).min(MAX_BATCH);
        if alone {
            self.rests = (self.rests + 1).min(MAX_RESTS);
            self.rest_until = Some(now + REST * self.rests);
        }
    }

    /// How many tasks to request when `can_run` tasks can run.
    pub(super) fn want(&self, can_run: usize, now: Instant) -> usize {
        match self.rest_until {
            Some(until) if now < until => 0,
            _ if can_run == 0 => 0,
            _ => can_run + self.beyond,
        }
    }

    /// When tasks are requested again.
    pub(super) fn resume_at(&self) -> Option<Instant> {
        self.rest_until
    }
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::Epoch;

    use super::super::state::tests::task;
    use super::*;

    fn of(id: i64) -> AttemptRef {
        AttemptRef { id, epoch: Epoch::FIRST }
    }

    #[test]
    fn number_of_watching_tasks_is_bounded() {
        let mut watching = WatchState::new(1);
        for id in 0..16 {
            assert!(watching.has_space());
            watching.admit(task(id));
        }
        assert!(!watching.has_space());
        watching.remove(of(3)).unwrap();
        assert!(watching.has_space());
        watching.admit(task(16));
        let new: Vec<i64> = watching.take_new().iter().map(|task| task.task.id).collect();
        assert!(new.len() == 16 && !new.contains(&3), "{new:?}");
        assert!(watching.take_new().is_empty());
    }

    #[test]
    fn excess_watching_tasks_raise_the_request_and_pause_it() {
        let now = Instant::now();
        let mut watching = WatchState::new(1);
        watching.note_rejected(3, false, now);
        assert_eq!((watching.want(1, now), watching.want(0, now)), (7, 0));
        watching.note_rejected(7, true, now);
        assert_eq!(watching.want(1, now), 0);
        assert_eq!(watching.want(1, watching.resume_at().unwrap()), 15);
        watching.note_rejected(7, true, now);
        assert_eq!(watching.resume_at(), Some(now + REST * 2));
        watching.admit(task(1));
        watching.remove(of(1)).unwrap();
        assert_eq!(watching.want(1, now), 1, "one of them can come again");
    }
}
