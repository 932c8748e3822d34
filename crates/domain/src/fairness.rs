//! Fairness between groups, and between workers that request tasks at the same time.
//!
//! This is pure bookkeeping. It only determines an order; the store guarantees that a task goes to one worker
//! only.

use std::collections::HashMap;
use std::hash::Hash;

/// Most groups that are remembered; beyond that, those that waited longest for a turn are dropped.
const MAX_REMEMBERED: usize = 10_000;

/// Serves groups in turn: the group whose last turn is longest ago comes first, and a turn is one task. This is
/// deficit round robin in which every task costs one; a group without waiting tasks accumulates no credit.
#[derive(Debug, Clone)]
pub struct RoundRobin<G> {
    last: HashMap<G, u64>,
    taken: u64,
}

impl<G> Default for RoundRobin<G> {
    fn default() -> Self {
        Self { last: HashMap::new(), taken: 0 }
    }
}

impl<G: Copy + Eq + Hash> RoundRobin<G> {
    /// The order in which `count` tasks are taken from `groups`, if all of them have enough. Equal groups keep
    /// the given order.
    pub fn order(&self, groups: &[G], count: usize) -> Vec<G> {
        let mut line: Vec<G> = groups.to_vec();
        line.sort_by_key(|group| self.last.get(group).copied().unwrap_or(0));
        line.into_iter().cycle().take(if groups.is_empty() { 0 } else { count }).collect()
    }

    /// Records a turn of a group.
    pub fn took(&mut self, group: G) {
        self.taken += 1;
        self.last.insert(group, self.taken);
        if self.last.len() > MAX_REMEMBERED {
            let half = self.taken.saturating_sub(MAX_REMEMBERED as u64 / 2);
            self.last.retain(|_, turn| *turn > half);
        }
    }
}

/// Distributes `count` tasks among requests, one at a time in turn, until every request is satisfied. Returns
/// the index of the request that gets each task.
pub fn distribute(wants: &[usize], count: usize) -> Vec<usize> {
    let mut open: Vec<(usize, usize)> =
        wants.iter().copied().enumerate().filter(|(_, want)| *want > 0).collect();
    let mut recipients = Vec::with_capacity(count);
    while recipients.len() < count && !open.is_empty() {
        for (index, want) in &mut open {
            if recipients.len() == count {
                break;
            }
            *want -= 1;
            recipients.push(*index);
        }
        open.retain(|(_, want)| *want > 0);
    }
    recipients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_alternate_and_latecomers_have_no_credit() {
        let mut turns = RoundRobin::default();
        for group in turns.order(&["a", "b"], 5) {
            turns.took(group);
        }
        assert_eq!(turns.order(&["a", "b"], 3), ["b", "a", "b"]);
        // `c` is served first once, and is one of three from then on.
        let with_c = turns.order(&["a", "b", "c"], 6);
        assert_eq!(with_c, ["c", "b", "a", "c", "b", "a"]);
    }

    #[test]
    fn single_turns_are_as_fair_as_batches() {
        let mut turns = RoundRobin::default();
        let mut served = Vec::new();
        for _ in 0..6 {
            let next = turns.order(&[1, 2, 3], 1)[0];
            turns.took(next);
            served.push(next);
        }
        assert_eq!(served, [1, 2, 3, 1, 2, 3]);
        assert!(turns.order(&[], 3).is_empty());
    }

    #[test]
    fn number_of_remembered_groups_is_bounded() {
        let mut turns = RoundRobin::default();
        for group in 0..MAX_REMEMBERED * 3 {
            turns.took(group);
        }
        assert!(turns.last.len() <= MAX_REMEMBERED);
    }

    #[test]
    fn tasks_are_spread_without_exceeding_requests() {
        assert_eq!(distribute(&[64, 0, 2, 64], 4), [0, 2, 3, 0]);
        assert_eq!(distribute(&[1, 3], 9), [0, 1, 1, 1]);
        assert!(distribute(&[], 3).is_empty() && distribute(&[2], 0).is_empty());
    }
}
