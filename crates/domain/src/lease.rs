//! How long a worker may be silent.

use std::time::Duration;

/// The two limits of a worker's silence, counted from its last sign of life.
///
/// A worker that is missed gets no new tasks, and nothing else happens: it may be cut off, and at work. Only at the
/// end of the lease are its tasks given to others; it kills them shortly before, so that none runs twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTerms {
    /// After this much silence it is missed; never more than `lease`.
    pub missed_after: Duration,
    /// After this much silence its tasks are given away.
    pub lease: Duration,
}

impl LeaseTerms {
    /// Terms of a worker that is missed when its lease ends, not before: published workers are heard of only every
    /// few minutes.
    pub const fn single(lease: Duration) -> Self {
        Self { missed_after: lease, lease }
    }

    /// Terms of a worker that is missed after `missed_after`. Its tasks are given away after `longest`, or after
    /// `lost_after` where it asked for less; not before it is missed.
    pub fn new(missed_after: Duration, longest: Duration, lost_after: Option<Duration>) -> Self {
        let missed_after = missed_after.min(longest);
        let lease = lost_after.map_or(longest, |lost_after| lost_after.clamp(missed_after, longest));
        Self { missed_after, lease }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_after_shortens_the_lease_down_to_missed() {
        let seconds = Duration::from_secs;
        for (lost_after, missed_after, lease) in
            [(None, 30, 600), (Some(120), 30, 120), (Some(5), 30, 30), (Some(9_000), 30, 600)]
        {
            let terms = LeaseTerms::new(seconds(30), seconds(600), lost_after.map(seconds));
            let expected = LeaseTerms { missed_after: seconds(missed_after), lease: seconds(lease) };
            assert_eq!(terms, expected, "{lost_after:?}");
        }
        assert_eq!(LeaseTerms::new(seconds(30), seconds(2), None), LeaseTerms::single(seconds(2)));
    }
}
