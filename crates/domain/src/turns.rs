//! Whose turn it is: fairness between groups, and between workers that ask at the same time.
//!
//! Pure bookkeeping. What is decided here only shapes an order; that a task goes to one worker only is
//! held by the store.

use std::collections::HashMap;
use std::hash::Hash;

/// Groups that are remembered; beyond that, those that waited longest for a turn are forgotten.
const REMEMBERED: usize = 10_000;

/// Groups take turns: the one whose last turn is longest ago goes first, and a turn is one task. This is
/// deficit round robin in which every task costs one; a group that has nothing waiting saves up nothing.
#[derive(Debug, Clone)]
pub struct Turns<G> {
    last: HashMap<G, u64>,
    taken: u64,
}

impl<G> Default for Turns<G> {
    fn default() -> Self {
        Self { last: HashMap::new(), taken: 0 }
    }
}

impl<G: Copy + Eq + Hash> Turns<G> {
    /// The order in which `count` tasks are taken from `groups`, if all of them have enough. Groups
    /// that are even go in the given order.
    pub fn order(&self, groups: &[G], count: usize) -> Vec<G> {
        let mut line: Vec<G> = groups.to_vec();
        line.sort_by_key(|group| self.last.get(group).copied().unwrap_or(0));
        line.into_iter().cycle().take(if groups.is_empty() { 0 } else { count }).collect()
    }

    /// A group had its turn.
    pub fn took(&mut self, group: G) {
        self.taken += 1;
        self.last.insert(group, self.taken);
        if self.last.len() > REMEMBERED {
            let half = self.taken.saturating_sub(REMEMBERED as u64 / 2);
            self.last.retain(|_, turn| *turn > half);
        }
    }
}

/// Deals `count` tasks to those who ask, one each in turn, until nobody wants more. Answers who gets each.
pub fn deal(wants: &[usize], count: usize) -> Vec<usize> {
    let mut open: Vec<(usize, usize)> =
        wants.iter().copied().enumerate().filter(|(_, want)| *want > 0).collect();
    let mut dealt = Vec::with_capacity(count);
    while dealt.len() < count && !open.is_empty() {
        for (who, want) in &mut open {
            if dealt.len() == count {
                break;
            }
            *want -= 1;
            dealt.push(*who);
        }
        open.retain(|(_, want)| *want > 0);
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_alternate_and_one_that_comes_late_has_saved_nothing() {
        let mut turns = Turns::default();
        for group in turns.order(&["a", "b"], 5) {
            turns.took(group);
        }
        assert_eq!(turns.order(&["a", "b"], 3), ["b", "a", "b"]);
        // `c` goes first once, and is one of three from then on.
        let with_c = turns.order(&["a", "b", "c"], 6);
        assert_eq!(with_c, ["c", "b", "a", "c", "b", "a"]);
    }

    #[test]
    fn one_turn_at_a_time_is_as_fair_as_many_at_once() {
        let mut turns = Turns::default();
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
    fn groups_of_long_ago_are_forgotten() {
        let mut turns = Turns::default();
        for group in 0..REMEMBERED * 3 {
            turns.took(group);
        }
        assert!(turns.last.len() <= REMEMBERED);
    }

    #[test]
    fn a_few_tasks_are_spread_and_nobody_gets_more_than_wanted() {
        assert_eq!(deal(&[64, 0, 2, 64], 4), [0, 2, 3, 0]);
        assert_eq!(deal(&[1, 3], 9), [0, 1, 1, 1]);
        assert!(deal(&[], 3).is_empty() && deal(&[2], 0).is_empty());
    }
}
