//! Which tasks in hand wait for another task, and so take no slot yet: pure bookkeeping.
//!
//! What such a task waits for may be behind it in the queue, so the slots stay free for that. Those that are too many
//! go back, and the agent asks for more tasks at once, to get at what is behind them.

use std::collections::HashMap;
use std::time::Duration;

use mitosis_protocol::agent::{AssignedTask, AttemptKey, AttemptRef, MAX_BATCH};
use tokio::time::Instant;

use super::hand::{key, named};

/// Most watching tasks for each slot, and for an agent with few slots.
const MOST_PER_SLOT: usize = 4;
const MOST_OF_FEW_SLOTS: usize = 16;
/// After nothing but watching tasks came and went back, the agent asks for nothing for this long, and longer each time.
const REST: Duration = Duration::from_millis(200);
const MOST_RESTS: u32 = 10;

#[derive(Debug)]
pub(super) struct Watching {
    most: usize,
    keys: HashMap<AttemptRef, AttemptKey>,
    /// Those whose watching has not begun.
    new: Vec<AssignedTask>,
    /// How many tasks to ask for beyond what can be run.
    beyond: usize,
    rests: u32,
    rest_until: Option<Instant>,
}

impl Watching {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            most: (slots * MOST_PER_SLOT).max(MOST_OF_FEW_SLOTS),
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

    pub(super) fn names(&self) -> impl Iterator<Item = AttemptRef> {
        self.keys.keys().copied()
    }

    pub(super) fn has_room(&self) -> bool {
        self.keys.len() < self.most
    }

    /// Takes a task that watches another one.
    pub(super) fn admit(&mut self, task: AssignedTask) {
        self.keys.insert(named(&task), key(&task));
        self.new.push(task);
    }

    /// Those whose watching has to begin.
    pub(super) fn take_new(&mut self) -> Vec<AssignedTask> {
        let mut new = std::mem::take(&mut self.new);
        new.retain(|task| self.contains(named(task)));
        new
    }

    /// One of them watches no more.
    pub(super) fn remove(&mut self, attempt: AttemptRef) -> Option<AttemptKey> {
        let key = self.keys.remove(&attempt)?;
        // There is room for one that went back.
        (self.beyond, self.rests, self.rest_until) = (0, 0, None);
        Some(key)
    }

    pub(super) fn take_all(&mut self) -> Vec<AttemptKey> {
        self.keys.drain().map(|(_, key)| key).collect()
    }

    /// So many were too many in what came, beside others or alone.
    pub(super) fn were_too_many(&mut self, count: usize, alone: bool, now: Instant) {
        self.beyond = (count * 2).min(MAX_BATCH);
        if alone {
            self.rests = (self.rests + 1).min(MOST_RESTS);
            self.rest_until = Some(now + REST * self.rests);
        }
    }

    /// How many tasks to ask for when so many can be run.
    pub(super) fn want(&self, can_run: usize, now: Instant) -> usize {
        match self.rest_until {
            Some(until) if now < until => 0,
            _ if can_run == 0 => 0,
            _ => can_run + self.beyond,
        }
    }

    /// When tasks are asked for again.
    pub(super) fn rest_ends(&self) -> Option<Instant> {
        self.rest_until
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand::tests::task;
    use super::*;

    fn of(id: i64) -> AttemptRef {
        AttemptRef { id, epoch: 1 }
    }

    #[test]
    fn watching_tasks_are_bounded_and_make_room_as_they_leave() {
        let mut watching = Watching::new(1);
        for id in 0..16 {
            assert!(watching.has_room());
            watching.admit(task(id));
        }
        assert!(!watching.has_room());
        watching.remove(of(3)).unwrap();
        assert!(watching.has_room());
        watching.admit(task(16));
        let new: Vec<i64> = watching.take_new().iter().map(|task| task.task.id).collect();
        assert!(new.len() == 16 && !new.contains(&3), "{new:?}");
        assert!(watching.take_new().is_empty());
    }

    #[test]
    fn those_that_are_too_many_make_the_agent_ask_beyond_them_and_rest() {
        let now = Instant::now();
        let mut watching = Watching::new(1);
        watching.were_too_many(3, false, now);
        assert_eq!((watching.want(1, now), watching.want(0, now)), (7, 0));
        watching.were_too_many(7, true, now);
        assert_eq!(watching.want(1, now), 0);
        assert_eq!(watching.want(1, watching.rest_ends().unwrap()), 15);
        watching.were_too_many(7, true, now);
        assert_eq!(watching.rest_ends(), Some(now + REST * 2));
        watching.admit(task(1));
        watching.remove(of(1)).unwrap();
        assert_eq!(watching.want(1, now), 1, "one of them can come again");
    }
}
