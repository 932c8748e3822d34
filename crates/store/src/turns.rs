//! Whose turn it is, shared by all operations of one store. It shapes the order of service and nothing
//! else, so it is kept in memory, and each coordinator has its own.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mitosis_domain::ids::GroupId;
use mitosis_domain::turns::Turns;

/// The turns of groups.
#[derive(Debug, Default)]
pub(crate) struct SharedTurns(Mutex<Turns<GroupId>>);

impl SharedTurns {
    /// How many of the next `count` turns each of the groups has; those with none are left out.
    pub(crate) fn shares(&self, groups: &[GroupId], count: usize) -> Vec<(GroupId, usize)> {
        let mut shares: Vec<(GroupId, usize)> = Vec::new();
        for group in self.turns().order(groups, count) {
            match shares.iter_mut().find(|(known, _)| *known == group) {
                Some((_, share)) => *share += 1,
                None => shares.push((group, 1)),
            }
        }
        shares
    }

    /// Merges the lines of groups into one, a turn each.
    pub(crate) fn merge<T>(&self, mut lines: Vec<(GroupId, std::collections::VecDeque<T>)>) -> Vec<T> {
        let groups: Vec<GroupId> = lines.iter().map(|(group, _)| *group).collect();
        let mut turns = self.turns();
        let ring = turns.order(&groups, groups.len());
        lines.sort_by_key(|(group, _)| ring.iter().position(|known| known == group));
        let mut merged = Vec::new();
        loop {
            let before = merged.len();
            for (group, line) in &mut lines {
                if let Some(next) = line.pop_front() {
                    turns.took(*group);
                    merged.push(next);
                }
            }
            if merged.len() == before {
                return merged;
            }
        }
    }

    fn turns(&self) -> MutexGuard<'_, Turns<GroupId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
