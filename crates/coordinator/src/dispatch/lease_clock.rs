//! The clock that all coordinators share: the wall clock of the database, and the time that leases are measured in.
//!
//! [`ClusterClock::refresh`] reads both from the database. Between two readings, the steady clock of this machine
//! extrapolates them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mitosis_domain::clock::Clock;
use mitosis_domain::lease::{LeaseTime, Moment};
use mitosis_protocol::Timestamp;
use mitosis_store::StoreError;
use mitosis_store::ops::reaper::{LeaseObservation, LeaseStatus, Reaper};

use crate::settings::LeaseClockSource;

/// A gap between two readings beyond which lease time stops, unless the lease is short.
const STANDSTILL: Duration = Duration::from_secs(10);
/// The smallest such gap, for very short leases.
const LEAST_STANDSTILL: Duration = Duration::from_millis(500);
/// How far the two clocks may drift apart between two readings.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The time that all coordinators agree on; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ClusterClock(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    clock: Arc<dyn Clock>,
    source: LeaseClockSource,
    standstill: Duration,
    last: Mutex<Option<Last>>,
}

/// The last reading.
#[derive(Debug, Clone, Copy)]
struct Last {
    watch: LeaseStatus,
    /// When the reading started, by the steady clock.
    steady: Duration,
}

impl ClusterClock {
    /// Creates a clock for leases of the length `lease`.
    pub(crate) fn new(clock: Arc<dyn Clock>, source: LeaseClockSource, lease: Duration) -> Self {
        let standstill = match source {
            LeaseClockSource::Database => (lease / 4).clamp(LEAST_STANDSTILL, STANDSTILL),
            LeaseClockSource::Process { standstill } => standstill,
        };
        Self(Arc::new(Parts { clock, source, standstill, last: Mutex::default() }))
    }

    /// Reads the clock of the database and advances the lease time. A step of that clock does not count: lease time
    /// advances at most as far as the steady clock of this machine.
    pub(crate) async fn refresh(
        &self,
        store: &(impl Reaper + Sync + ?Sized),
    ) -> Result<LeaseStatus, StoreError> {
        let parts = &*self.0;
        let mut steady = parts.clock.steady();
        let mut watch = store.monitor_leases(self.look_at(None)).await?;
        if let Some(bound) = self.bound(parts.clock.steady())
            && bound + TOLERANCE < watch.time()
        {
            tracing::warn!("the wall clock of the database was set forward; leases go by the steady clock");
            steady = parts.clock.steady();
            watch = store.monitor_leases(self.look_at(self.bound(steady))).await?;
        }
        if watch.skipped != 0 {
            let seconds = watch.skipped / 1_000_000;
            tracing::info!(seconds, "extended all leases after an outage or a clock change");
        }
        *parts.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Last { watch, steady });
        Ok(watch)
    }

    /// The present moment.
    pub(crate) fn moment(&self) -> Moment {
        let now = self.now();
        self.bound(self.0.clock.steady()).map_or_else(|| now.into(), |lease| Moment { now, lease })
    }

    /// The number of missed workers at the last reading.
    pub(crate) fn missed(&self) -> u64 {
        self.last().map_or(0, |last| last.watch.missed)
    }

    fn look_at(&self, at_most: Option<LeaseTime>) -> LeaseObservation {
        let now: Option<Timestamp> = match self.0.source {
            LeaseClockSource::Database => None,
            LeaseClockSource::Process { .. } => Some(self.0.clock.now()),
        };
        LeaseObservation { now, standstill: self.0.standstill, at_most }
    }

    /// The latest lease time that is possible, by the steady clock since the last reading.
    fn bound(&self, steady: Duration) -> Option<LeaseTime> {
        self.last().map(|last| last.watch.time() + steady.saturating_sub(last.steady))
    }

    fn last(&self) -> Option<Last> {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the wall clock of the database, so that coordinators agree on every time that they write or compare, and on
/// the links that they sign, even if the clocks of their machines differ.
impl Clock for ClusterClock {
    fn now(&self) -> Timestamp {
        match (self.0.source, self.last()) {
            (LeaseClockSource::Database, Some(last)) => {
                last.watch.now + self.0.clock.steady().saturating_sub(last.steady)
            }
            (LeaseClockSource::Database | LeaseClockSource::Process { .. }, _) => self.0.clock.now(),
        }
    }

    fn steady(&self) -> Duration {
        self.0.clock.steady()
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use mitosis_domain::lease::LeaseClock;
    use mitosis_store::ops::Changed;
    use mitosis_store::ops::reaper::Reaped;
    use mitosis_testkit::clock::SteppedClock;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LEASE: Duration = Duration::from_secs(600);

    /// A database with its own clock.
    struct Database {
        wall: SteppedClock,
        leases: Mutex<LeaseClock>,
    }

    #[async_trait]
    impl Reaper for Database {
        async fn monitor_leases(&self, look: LeaseObservation) -> Result<LeaseStatus, StoreError> {
            let now = look.now.unwrap_or_else(|| self.wall.now());
            let mut leases = self.leases.lock().unwrap();
            let clock = leases.observe(now, look.standstill, look.at_most);
            let skipped = clock.lag - leases.lag;
            *leases = clock;
            Ok(LeaseStatus { now, clock, skipped, missed: 3, due: false })
        }

        async fn reap(&self, _: Moment, _: u32) -> Result<Changed<Vec<Reaped>>, StoreError> {
            Ok(Changed::nothing(Vec::new()))
        }
    }

    /// A database, and the clock of a coordinator on a machine whose wall clock is wrong by years.
    fn database_and_clock() -> (Database, Arc<SteppedClock>, ClusterClock) {
        let wall = Timestamp::parse("2031-02-09T17:04:05Z").unwrap();
        let leases =
            LeaseClock { seen_at: Timestamp::UNIX_EPOCH, lag: 0, settled_at: LeaseTime::from_micros(0) };
        let database = Database { wall: SteppedClock::at(wall), leases: Mutex::new(leases) };
        let own = Arc::new(SteppedClock::at(Timestamp::parse("2001-01-01T00:00:00Z").unwrap()));
        let clock = ClusterClock::new(own.clone(), LeaseClockSource::Database, LEASE);
        (database, own, clock)
    }

    #[tokio::test]
    async fn coordinator_uses_the_clock_of_the_database() {
        let (database, own, clock) = database_and_clock();
        let first = clock.refresh(&database).await.unwrap();
        assert_eq!((clock.now(), clock.missed()), (database.wall.now(), 3));
        own.advance(SECOND * 5);
        own.step_forward(SECOND * 1_000);
        assert_eq!(clock.now(), database.wall.now() + SECOND * 5, "time passes between two readings");
        let moment = clock.moment();
        assert_eq!((moment.now, moment.lease), (clock.now(), first.time() + SECOND * 5));
    }

    #[tokio::test]
    async fn clock_step_of_the_database_does_not_move_leases() {
        let (database, own, clock) = database_and_clock();
        let first = clock.refresh(&database).await.unwrap();
        own.advance(SECOND);
        database.wall.advance(SECOND);
        database.wall.step_forward(SECOND * 7);
        let watch = clock.refresh(&database).await.unwrap();
        assert_eq!((watch.time(), watch.skipped), (first.time() + SECOND, 7_000_000));
        own.advance(SECOND * 5);
        database.wall.advance(SECOND * 5);
        let watch = clock.refresh(&database).await.unwrap();
        assert_eq!(watch.time(), first.time() + SECOND * 6);
        let moment = clock.moment();
        assert_eq!((moment.now, moment.lease), (database.wall.now(), watch.time()));
    }

    #[test]
    fn standstill_is_shorter_than_a_short_lease() {
        let standstill = |seconds| {
            let own = Arc::new(SteppedClock::at(Timestamp::UNIX_EPOCH));
            let clock = ClusterClock::new(own, LeaseClockSource::Database, Duration::from_secs(seconds));
            clock.look_at(None).standstill.as_millis()
        };
        assert_eq!([600, 20, 1].map(standstill), [10_000, 5_000, 500]);
    }
}
