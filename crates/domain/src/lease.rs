//! Leases: how long a worker may be silent, and the time in which this is measured.

use std::time::Duration;

use mitosis_protocol::Timestamp;

/// A point in lease time, in microseconds.
///
/// Lease time passes only while a coordinator monitors the leases. It stops while all coordinators, or their
/// database, are stopped, suspended or unreachable, and steps of a wall clock don't affect it. So every outage
/// extends all leases by its length, and no worker is lost because of a time in which it could not be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseTime(i64);

impl LeaseTime {
    /// Converts from microseconds, the stored form.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The stored form, in microseconds.
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

/// A moment on the wall clock and in lease time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time on the wall clock.
    pub now: Timestamp,
    /// The lease time.
    pub lease: LeaseTime,
}

impl From<Timestamp> for Moment {
    /// Converts a time for leases without an outage.
    fn from(now: Timestamp) -> Self {
        Self { now, lease: LeaseTime(now.unix_micros()) }
    }
}

/// The state of lease time: how far it is behind the wall clock of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseClock {
    /// When a coordinator last monitored the leases, on the wall clock.
    pub seen_at: Timestamp,
    /// How many microseconds lease time is behind the wall clock.
    pub lag: i64,
    /// From when on the wall clock is trusted after a jump.
    pub settled_at: LeaseTime,
}

/// A larger step of the wall clock may be an error.
const JUMP: Duration = Duration::from_hours(1);
/// How long a wall clock is distrusted after a jump at most.
const LONGEST_DOUBT: Duration = Duration::from_hours(24);

impl LeaseClock {
    /// Advances the clock to `now` on the wall clock of the database.
    ///
    /// Unmonitored time beyond `standstill` doesn't count, and neither does a step of the wall clock. After an
    /// interruption the workers get extra time to reconnect. `at_most` is the bound given by the caller's
    /// steady clock.
    #[must_use]
    pub fn observe(self, now: Timestamp, standstill: Duration, at_most: Option<LeaseTime>) -> Self {
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

    /// Whether records may be deleted by age when the wall clock shows `now`.
    ///
    /// An outage and a changed wall clock look the same. So after a jump of more than an hour, the clock is
    /// distrusted for a tenth of the jump, at most a day, so that a wrong clock can be corrected.
    pub fn is_settled(self, now: Timestamp) -> bool {
        self.time(now) >= self.settled_at
    }

    /// The lease time when the wall clock shows `now`.
    pub fn time(self, now: Timestamp) -> LeaseTime {
        LeaseTime(now.unix_micros() - self.lag)
    }
}

fn to_micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The two limits of a worker's silence, counted from its last heartbeat.
///
/// A missed worker gets no new tasks, and nothing else happens: it may be disconnected and still at work. Its
/// tasks are requeued only at the end of the lease. The worker kills them shortly before, so that none runs
/// twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTerms {
    /// Silence after which the worker is missed; at most `lease`.
    pub missed_after: Duration,
    /// Silence after which its tasks are requeued.
    pub lease: Duration,
}

impl LeaseTerms {
    /// The terms of a 0.6.8 worker, which sends a heartbeat only every few minutes, at least twice in a lease.
    pub fn legacy(lease: Duration) -> Self {
        Self { missed_after: lease * 2 / 3, lease }
    }

    /// The terms of a worker that is missed after `missed_after`, and at the latest after two thirds of
    /// `longest`. Its tasks are requeued after `longest`, or after `lost_after` if that is shorter, but not
    /// before it is missed.
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

    /// How many seconds of lease time pass between observations at 0 and at `seconds`.
    fn passed(seconds: i64) -> i64 {
        let clock = clock().observe(at(seconds), STANDSTILL, None);
        assert_eq!(clock.seen_at, at(seconds));
        (clock.time(at(seconds)).micros() - at(0).unix_micros()) / 1_000_000
    }

    #[test]
    fn lease_time_passes_while_it_is_monitored() {
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
        let clock = clock().observe(at(9), STANDSTILL, Some(bound));
        assert_eq!(clock.time(at(9)), bound);
        let slower = LeaseTime(at(100).unix_micros());
        assert_eq!(clock.observe(at(10), STANDSTILL, Some(slower)).lag, clock.lag, "only a bound");
    }

    #[test]
    fn first_look_of_all_finds_no_gap() {
        let new = LeaseClock { seen_at: Timestamp::UNIX_EPOCH, ..clock() };
        assert_eq!(new.observe(at(5), STANDSTILL, None), LeaseClock { seen_at: at(5), ..clock() });
    }

    #[test]
    fn clock_is_trusted_after_a_tenth_of_its_jump() {
        const HOUR: i64 = 3_600;
        for (jump, doubt) in
            [(-900 * HOUR, 0), (HOUR / 2, 0), (20 * HOUR, 2 * HOUR), (90_000 * HOUR, 24 * HOUR)]
        {
            let mut clock = clock().observe(at(jump), STANDSTILL, None);
            let mut watched = 0;
            while !clock.is_settled(at(jump + watched)) {
                watched += 10;
                clock = clock.observe(at(jump + watched), STANDSTILL, None);
            }
            // Including the extra time to reconnect.
            assert!((doubt..=doubt + 10).contains(&watched), "{jump}: {watched}");
        }
    }

    #[test]
    fn legacy_worker_is_missed_before_its_lease_ends() {
        let seconds = Duration::from_secs;
        let expected = LeaseTerms { missed_after: seconds(400), lease: seconds(600) };
        assert_eq!(LeaseTerms::legacy(seconds(600)), expected);
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
