//! The round robin between groups, shared by all operations of one store.
//!
//! It affects the order of service and nothing else. So it is kept in memory, and each coordinator has its own.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mitosis_domain::fairness::RoundRobin;
use mitosis_domain::ids::GroupId;

/// A [`RoundRobin`] of groups behind a lock.
#[derive(Debug, Default)]
pub(crate) struct SharedRoundRobin(Mutex<RoundRobin<GroupId>>);

impl SharedRoundRobin {
    /// Divides the next `count` turns among the groups. Groups without a turn are left out.
    pub(crate) fn shares(&self, groups: &[GroupId], count: usize) -> Vec<(GroupId, usize)> {
        let mut shares: Vec<(GroupId, usize)> = Vec::new();
        for group in self.lock().order(groups, count) {
            match shares.iter_mut().find(|(known, _)| *known == group) {
                Some((_, share)) => *share += 1,
                None => shares.push((group, 1)),
            }
        }
        shares
    }

    /// Merges the queues of groups into one, taking one item per turn.
    pub(crate) fn merge<T>(&self, mut queues: Vec<(GroupId, VecDeque<T>)>) -> Vec<T> {
        let groups: Vec<GroupId> = queues.iter().map(|(group, _)| *group).collect();
        let mut turns = self.lock();
        let order = turns.order(&groups, groups.len());
        queues.sort_by_key(|(group, _)| order.iter().position(|known| known == group));
        let mut merged = Vec::new();
        loop {
            let before = merged.len();
            for (group, queue) in &mut queues {
                if let Some(next) = queue.pop_front() {
                    turns.took(*group);
                    merged.push(next);
                }
            }
            if merged.len() == before {
                return merged;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, RoundRobin<GroupId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
