//! Ranges of the indices of tasks: `1-50,60,70-80`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The most pieces of a list of ranges, as written.
pub const MAX_PIECES: usize = 10_000;

/// Indices of tasks, from 1: at least one. The ranges are sorted, and there is a gap between two of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IndexRanges {
    /// The first and the last index of each range.
    ranges: Vec<(u64, u64)>,
}

/// Why a list of ranges is invalid. Each message says what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIndexRanges {
    /// There are no ranges.
    #[error("no indices: write at least one, such as 7 or 1-50")]
    Empty,
    /// An index is zero.
    #[error("invalid index 0: indices count up from 1")]
    Zero,
    /// A range ends before its start.
    #[error("invalid range {0}-{1}: write the smaller index first: {1}-{0}")]
    Reversed(u64, u64),
    /// A piece is not a range of numbers.
    #[error("invalid range `{0}`: write indices and ranges, such as 7, 1-50 or 1-50,60")]
    NotARange(String),
    /// There are too many ranges.
    #[error("more than {limit} ranges: select the tasks in several steps", limit = MAX_PIECES)]
    TooMany,
}

impl IndexRanges {
    /// Sorts ranges, and merges those that touch.
    pub fn new(ranges: impl IntoIterator<Item = RangeInclusive<u64>>) -> Result<Self, InvalidIndexRanges> {
        Self::collect(ranges.into_iter().map(|range| Ok((*range.start(), *range.end()))))
    }

    fn collect(
        pieces: impl Iterator<Item = Result<(u64, u64), InvalidIndexRanges>>,
    ) -> Result<Self, InvalidIndexRanges> {
        let mut ranges = Vec::new();
        for piece in pieces {
            if ranges.len() == MAX_PIECES {
                return Err(InvalidIndexRanges::TooMany);
            }
            ranges.push(checked(piece?)?);
        }
        match ranges.is_empty() {
            true => Err(InvalidIndexRanges::Empty),
            false => Ok(Self { ranges: merged(ranges) }),
        }
    }

    /// The ranges, in ascending order.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        self.ranges.iter().map(|(first, last)| *first..=*last)
    }

    /// All indices, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.ranges().flatten()
    }

    /// The number of indices.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Always false: there is at least one index.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether an index is in one of the ranges.
    pub fn contains(&self, index: u64) -> bool {
        let next = self.ranges.partition_point(|(_, last)| *last < index);
        self.ranges.get(next).is_some_and(|(first, _)| *first <= index)
    }

    /// The largest index.
    pub fn last(&self) -> u64 {
        self.ranges.last().map_or(0, |(_, last)| *last)
    }

    /// The index, if there is only one.
    pub fn single(&self) -> Option<u64> {
        match self.ranges[..] {
            [(first, last)] if first == last => Some(first),
            _ => None,
        }
    }

    /// The indices up to `max`; `None` if all are larger.
    pub fn bounded(&self, max: u64) -> Option<Self> {
        let below = self.ranges.iter().take_while(|(first, _)| *first <= max);
        let ranges: Vec<_> = below.map(|(first, last)| (*first, (*last).min(max))).collect();
        (!ranges.is_empty()).then_some(Self { ranges })
    }
}

fn checked((first, last): (u64, u64)) -> Result<(u64, u64), InvalidIndexRanges> {
    if first == 0 || last == 0 {
        return Err(InvalidIndexRanges::Zero);
    }
    if first > last { Err(InvalidIndexRanges::Reversed(first, last)) } else { Ok((first, last)) }
}

fn merged(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}

impl FromStr for IndexRanges {
    type Err = InvalidIndexRanges;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::collect(text.split(',').map(piece))
    }
}

/// Parses `7` or `1-50`.
fn piece(text: &str) -> Result<(u64, u64), InvalidIndexRanges> {
    // The parser of the standard library also accepts a sign.
    let index =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    index(first).zip(index(last)).ok_or_else(|| InvalidIndexRanges::NotARange(text.to_owned()))
}

impl fmt::Display for IndexRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ranges(text: &str) -> IndexRanges {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn ranges_are_sorted_and_merged() {
        for (text, merged) in [
            ("7", "7"),
            ("7-7", "7"),
            ("1-50,60,70-80", "1-50,60,70-80"),
            ("70-80,60,1-50", "1-50,60,70-80"),
            ("1,2,3", "1-3"),
            ("1-10,5-7", "1-10"),
            ("1-10,5-70", "1-70"),
            ("007", "7"),
            ("18446744073709551615,1-18446744073709551614", "1-18446744073709551615"),
        ] {
            assert_eq!(ranges(text).to_string(), merged, "{text}");
        }
    }

    #[test]
    fn invalid_ranges_are_refused() {
        let not_a_range = |text: &str| InvalidIndexRanges::NotARange(text.into());
        for (text, error) in [
            ("0", InvalidIndexRanges::Zero),
            ("0-5", InvalidIndexRanges::Zero),
            ("5-1", InvalidIndexRanges::Reversed(5, 1)),
            ("", not_a_range("")),
            ("1,", not_a_range("")),
            ("1-", not_a_range("1-")),
            ("-1", not_a_range("-1")),
            ("+1", not_a_range("+1")),
            ("1-2-3", not_a_range("1-2-3")),
            ("1, 2", not_a_range(" 2")),
            ("1..5", not_a_range("1..5")),
            ("1-50,failed", not_a_range("failed")),
            ("18446744073709551616", not_a_range("18446744073709551616")),
        ] {
            assert_eq!(text.parse::<IndexRanges>(), Err(error), "{text}");
        }
        assert_eq!(IndexRanges::new([]), Err(InvalidIndexRanges::Empty));
    }

    #[test]
    fn number_of_pieces_is_limited() {
        let list = |count: usize| vec!["1"; count].join(",");
        assert_eq!(list(MAX_PIECES).parse(), Ok(ranges("1")));
        assert_eq!(list(MAX_PIECES + 1).parse::<IndexRanges>(), Err(InvalidIndexRanges::TooMany));
    }

    #[test]
    fn single_index_is_found() {
        assert_eq!(ranges("7").single(), Some(7));
        assert_eq!(ranges("7,8").single(), None);
        assert_eq!(ranges("7,9").single(), None);
    }

    #[test]
    fn all_indices_fit_in_one_range() {
        let all = ranges("1-18446744073709551615");
        assert_eq!((all.len(), all.last(), all.iter().next()), (u64::MAX, u64::MAX, Some(1)));
        assert!(all.contains(u64::MAX) && !all.contains(0));
        assert_eq!(all.bounded(5), Some(ranges("1-5")));
        assert_eq!(all.bounded(0), None);
    }

    proptest! {
        #[test]
        fn ranges_equal_a_set_of_indices(
            pieces in prop::collection::vec((1..40_u64, 0..6_u64), 1..8),
            max in 0..50_u64,
        ) {
            let pieces = pieces.into_iter().map(|(first, more)| first..=first + more);
            let set: BTreeSet<u64> = pieces.clone().flatten().collect();
            let ranges = IndexRanges::new(pieces).unwrap();
            prop_assert!(ranges.iter().eq(set.iter().copied()));
            prop_assert_eq!(ranges.len(), set.len() as u64);
            prop_assert_eq!(Some(ranges.last()), set.last().copied());
            prop_assert_eq!(ranges.single().is_some(), set.len() == 1);
            for index in 0..50 {
                prop_assert_eq!(ranges.contains(index), set.contains(&index));
            }
            let bounded = ranges.bounded(max);
            let below = set.into_iter().filter(|index| *index <= max);
            prop_assert!(bounded.iter().flat_map(IndexRanges::iter).eq(below));
            let mut gaps = ranges.ranges().zip(ranges.ranges().skip(1));
            prop_assert!(gaps.all(|(one, next)| one.end() + 1 < *next.start()));
        }
    }
}
