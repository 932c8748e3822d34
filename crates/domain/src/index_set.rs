//! Sets of indices of tasks, stored as ranges.

use serde::{Deserialize, Serialize};

/// A set of indices: disjoint ranges with both ends included, in order, with a gap between any two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IndexSet {
    ranges: Vec<(u64, u64)>,
}

impl IndexSet {
    /// The ranges, in order.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    /// Whether the set has no index.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether the set has this index.
    pub fn contains(&self, index: u64) -> bool {
        let following = self.ranges.partition_point(|(_, to)| *to < index);
        self.ranges.get(following).is_some_and(|(from, _)| *from <= index)
    }

    /// How many indices are larger than `after`, and at most `last`.
    pub fn count_between(&self, after: u64, last: u64) -> u64 {
        let clipped =
            self.ranges.iter().map(|(from, to)| ((*from).max(after.saturating_add(1)), (*to).min(last)));
        clipped.filter(|(from, to)| from <= to).map(|(from, to)| to - from + 1).sum()
    }

    /// Adds a range of indices from 1; returns how many of them are new.
    pub fn insert(&mut self, from: u64, to: u64) -> u64 {
        if from == 0 || from > to {
            return 0;
        }
        let new = to - from + 1 - self.count_between(from - 1, to);
        let first = self.ranges.partition_point(|(_, end)| end.saturating_add(1) < from);
        let behind = self.ranges.partition_point(|(start, _)| *start <= to.saturating_add(1));
        let merged = &self.ranges[first..behind];
        let from = merged.first().map_or(from, |(start, _)| from.min(*start));
        let to = merged.last().map_or(to, |(_, end)| to.max(*end));
        self.ranges.splice(first..behind, [(from, to)]);
        new
    }

    /// Removes a range; returns how many of its indices were in the set.
    pub fn remove(&mut self, from: u64, to: u64) -> u64 {
        let parts = |(start, end): &(u64, u64)| {
            let before = (*start < from).then(|| (*start, (*end).min(from - 1)));
            let behind = (*end > to).then(|| ((*start).max(to + 1), *end));
            before.into_iter().chain(behind)
        };
        let length = |ranges: &[(u64, u64)]| ranges.iter().map(|(from, to)| to - from + 1).sum::<u64>();
        let rest: Vec<(u64, u64)> = match from > to {
            true => self.ranges.clone(),
            false => self.ranges.iter().flat_map(parts).collect(),
        };
        let removed = length(&self.ranges) - length(&rest);
        self.ranges = rest;
        removed
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn adjacent_ranges_are_merged() {
        let mut set = IndexSet::default();
        assert_eq!(set.insert(5, 7), 3);
        assert_eq!(set.insert(1, 2), 2);
        assert_eq!(set.insert(3, 4), 2);
        assert_eq!(set.ranges(), [(1, 7)]);
        assert_eq!(set.remove(3, 3), 1);
        assert_eq!(set.ranges(), [(1, 2), (4, 7)]);
        assert_eq!((set.count_between(1, 5), set.count_between(7, 9), set.contains(3)), (3, 0, false));
        assert_eq!((set.insert(9, 8), set.remove(9, 8)), (0, 0));
    }

    proptest! {
        #[test]
        fn set_has_the_indices_that_were_inserted_and_not_removed(
            changes in prop::collection::vec((any::<bool>(), 1..40_u64, 1..40_u64), 0..20),
        ) {
            let (mut set, mut model) = (IndexSet::default(), BTreeSet::new());
            for (inserts, from, to) in changes {
                let before = model.len();
                if inserts {
                    model.extend(from..=to);
                    prop_assert_eq!(set.insert(from, to), (model.len() - before) as u64);
                } else {
                    model.retain(|index| !(from..=to).contains(index));
                    prop_assert_eq!(set.remove(from, to), (before - model.len()) as u64);
                }
                let indices: Vec<u64> = set.ranges().iter().flat_map(|(from, to)| *from..=*to).collect();
                prop_assert_eq!(indices, model.iter().copied().collect::<Vec<_>>());
                prop_assert!(set.ranges().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
                prop_assert_eq!(set.count_between(10, 30), model.range(11..=30).count() as u64);
                prop_assert_eq!(set.contains(20), model.contains(&20));
            }
        }
    }
}
