//! How long a worker may be silent, and the time that this is measured in.

use std::time::Duration;

use mitosis_protocol::Timestamp;

/// A point in the time that leases are measured in, as microseconds.
///
/// It passes only while a coordinator watches over the leases: it stands still while all of them, or their database,
/// are stopped, suspended or cut off, and steps of a wall clock do not move it. So every outage extends all leases by
/// its length, and no worker is given up for a time in which it could not be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseTime(i64);

impl LeaseTime {
    /// From microseconds, as they are stored.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// As it is stored.
    pub const fn micros(self) -> i64 {
        self.0
    }
}

impl std::ops::Add<Duration> for LeaseTime {
    type Output = Self;

    fn add(self, more: Duration) -> Self {
        Self(self.0.saturating_add(to_micros(more)))
    }
}

/// A moment on the wall clock, for people, and in the time of leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// By the wall clock.
    pub now: Timestamp,
    /// In the time that leases are measured in.
    pub lease: LeaseTime,
}

impl From<Timestamp> for Moment {
    /// Where leases have been watched over without a break.
    fn from(now: Timestamp) -> Self {
        Self { now, lease: LeaseTime(now.unix_micros()) }
    }
}

/// Where the time of leases stands: how far it is behind the wall clock of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseClock {
    /// When a coordinator last watched over the leases, by the wall clock.
    pub seen_at: Timestamp,
    /// By how many microseconds the time of leases is behind the wall clock.
    pub lag: i64,
    /// From when on the wall clock is believed after a jump.
    pub settled_at: LeaseTime,
}

/// A wall clock that is so much further at a look than it should be may be wrong.
const JUMP: Duration = Duration::from_hours(1);
/// How long a wall clock is watched after a jump, at the most.
const LONGEST_DOUBT: Duration = Duration::from_hours(24);

impl LeaseClock {
    /// The clock after a look at `now`, by the wall clock of the database.
    ///
    /// Time that nobody watched over, more than `standstill`, does not count, and neither does a step of the wall
    /// clock. After a break the workers get some time more, to reconnect. `at_most` is the bound that a steady clock
    /// of the caller sets.
    #[must_use]
    pub fn look(self, now: Timestamp, standstill: Duration, at_most: Option<LeaseTime>) -> Self {
        let (standstill, passed) = (to_micros(standstill), now.unix_micros() - self.seen_at.unix_micros());
        let never_seen = self.seen_at == Timestamp::UNIX_EPOCH;
        let mut lag = self.lag;
        if !never_seen && passed > standstill {
            lag += passed + passed.min(standstill.saturating_mul(3));
        } else if !never_seen && passed < -standstill {
            lag += passed;
        }
        if let Some(LeaseTime(bound)) = at_most {
            lag = lag.max(now.unix_micros() - bound);
        }
        let mut settled_at = self.settled_at;
        let skipped = lag.saturating_sub(self.lag);
        if !never_seen && skipped > to_micros(JUMP) {
            let doubt = (skipped / 10).min(to_micros(LONGEST_DOUBT));
            settled_at = settled_at.max(LeaseTime(now.unix_micros() - lag + doubt));
        }
        Self { seen_at: now, lag, settled_at }
    }

    /// Whether things may be deleted by their age when the wall clock says `now`.
    ///
    /// An outage and a wall clock that was set look the same from here. So after a jump of more than an hour, the clock
    /// has to be watched for a tenth of the jump, a day at the most: time for a clock that is wrong to be put right.
    pub fn is_settled(self, now: Timestamp) -> bool {
        self.time(now) >= self.settled_at
    }

    /// The time of leases when the wall clock says `now`.
    pub fn time(self, now: Timestamp) -> LeaseTime {
        LeaseTime(now.unix_micros() - self.lag)
    }
}

fn to_micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

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
    /// Terms of a published worker, which is heard of only every few minutes: at least twice in a lease.
    pub fn of_published(lease: Duration) -> Self {
        Self { missed_after: lease * 2 / 3, lease }
    }

    /// Terms of a worker that is missed after `missed_after`, and in any case before two thirds of `longest`. Its tasks
    /// are given away after `longest`, or after `lost_after` where it asked for less; not before it is missed.
    pub fn new(missed_after: Duration, longest: Duration, lost_after: Option<Duration>) -> Self {
        let missed_after = missed_after.min(longest * 2 / 3);
        let lease = lost_after.map_or(longest, |lost_after| lost_after.clamp(missed_after, longest));
        Self { missed_after, lease }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDSTILL: Duration = Duration::from_secs(10);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_micros((1_900_000_000 + seconds) * 1_000_000)
    }

    fn clock() -> LeaseClock {
        LeaseClock { seen_at: at(0), lag: 0, settled_at: LeaseTime(0) }
    }

    /// Seconds of lease time between a look at 0 and one at `seconds`.
    fn passed(seconds: i64) -> i64 {
        let clock = clock().look(at(seconds), STANDSTILL, None);
        assert_eq!(clock.seen_at, at(seconds));
        (clock.time(at(seconds)).micros() - at(0).unix_micros()) / 1_000_000
    }

    #[test]
    fn lease_time_passes_while_it_is_watched() {
        assert_eq!([0, 1, 10].map(passed), [0, 1, 10]);
    }

    #[test]
    fn outage_does_not_count_and_leaves_time_to_reconnect() {
        assert_eq!([11, 60, 86_400].map(passed), [-11, -30, -30]);
    }

    #[test]
    fn step_back_of_the_wall_clock_does_not_count() {
        assert_eq!([-11, -3_600].map(passed), [0, 0]);
        assert_eq!(passed(-3), -3, "a small one makes leases longer by itself");
    }

    #[test]
    fn steady_clock_bounds_a_small_step_forward() {
        let bound = LeaseTime(at(1).unix_micros());
        let clock = clock().look(at(9), STANDSTILL, Some(bound));
        assert_eq!(clock.time(at(9)), bound);
        let slower = LeaseTime(at(100).unix_micros());
        assert_eq!(clock.look(at(10), STANDSTILL, Some(slower)).lag, clock.lag, "only a bound");
    }

    #[test]
    fn first_look_of_all_finds_no_gap() {
        let new = LeaseClock { seen_at: Timestamp::UNIX_EPOCH, ..clock() };
        assert_eq!(new.look(at(5), STANDSTILL, None), LeaseClock { seen_at: at(5), ..clock() });
    }

    #[test]
    fn clock_is_believed_after_a_tenth_of_its_jump() {
        const HOUR: i64 = 3_600;
        for (jump, doubt) in
            [(-900 * HOUR, 0), (HOUR / 2, 0), (20 * HOUR, 2 * HOUR), (90_000 * HOUR, 24 * HOUR)]
        {
            let mut clock = clock().look(at(jump), STANDSTILL, None);
            let mut watched = 0;
            while !clock.is_settled(at(jump + watched)) {
                watched += 10;
                clock = clock.look(at(jump + watched), STANDSTILL, None);
            }
            // With what the outage leaves to reconnect.
            assert!((doubt..=doubt + 10).contains(&watched), "{jump}: {watched}");
        }
    }

    #[test]
    fn published_worker_may_be_missed_before_its_lease_ends() {
        let seconds = Duration::from_secs;
        let expected = LeaseTerms { missed_after: seconds(400), lease: seconds(600) };
        assert_eq!(LeaseTerms::of_published(seconds(600)), expected);
    }

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
        let short = LeaseTerms { missed_after: seconds(2), lease: seconds(3) };
        assert_eq!(LeaseTerms::new(seconds(30), seconds(3), None), short);
    }
}
