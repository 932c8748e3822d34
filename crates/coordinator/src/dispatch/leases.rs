//! The time that leases are measured in, and the clock of the database, between two looks at them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mitosis_domain::clock::Clock;
use mitosis_domain::lease::{LeaseTime, Moment};
use mitosis_protocol::Timestamp;
use mitosis_store::StoreError;
use mitosis_store::ops::reaper::{LeaseObservation, LeaseStatus, Reaper};

use crate::settings::LeaseClockSource;

/// Time without a look that does not count, where the lease is long enough for it.
const STANDSTILL: Duration = Duration::from_secs(10);
/// The same where the lease is very short.
const LEAST_STANDSTILL: Duration = Duration::from_millis(500);
/// How far two clocks may differ over one look.
const TOLERANCE: Duration = Duration::from_secs(1);

/// Tells the time of leases; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Leases(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    clock: Arc<dyn Clock>,
    source: LeaseClockSource,
    standstill: Duration,
    last: Mutex<Option<Last>>,
}

/// The last look.
#[derive(Debug, Clone, Copy)]
struct Last {
    watch: LeaseStatus,
    /// When it began, by the steady clock.
    steady: Duration,
}

impl Leases {
    /// `longest` is how long a worker may be silent.
    pub(crate) fn new(clock: Arc<dyn Clock>, source: LeaseClockSource, longest: Duration) -> Self {
        let standstill = match source {
            LeaseClockSource::Database => (longest / 4).clamp(LEAST_STANDSTILL, STANDSTILL),
            LeaseClockSource::Process { standstill } => standstill,
        };
        Self(Arc::new(Parts { clock, source, standstill, last: Mutex::default() }))
    }

    /// Looks, so that the time goes on. A step of the wall clock of the database does not count: the steady clock of
    /// this machine says how much time has passed at the most.
    pub(crate) async fn observe(
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

    /// Workers that were missed at the last look.
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

    /// How far the time of leases can have come since the last look.
    fn bound(&self, steady: Duration) -> Option<LeaseTime> {
        self.last().map(|last| last.watch.time() + steady.saturating_sub(last.steady))
    }

    fn last(&self) -> Option<Last> {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The wall clock of the database, so that coordinators agree on every time that they write or compare, and on the
/// links that they sign, whatever the clocks of their machines say.
impl Clock for Leases {
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
    use mitosis_store::ops::reaper::Reaped;
    use mitosis_testkit::clock::SteppedClock;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(600);

    /// A database with a clock of its own.
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

        async fn reap(&self, _: Moment, _: u32) -> Result<Vec<Reaped>, StoreError> {
            Ok(Vec::new())
        }
    }

    /// A database, and a coordinator on a machine whose clock is wrong by years.
    fn apart() -> (Database, Arc<SteppedClock>, Leases) {
        let wall = Timestamp::parse("2031-02-09T17:04:05Z").unwrap();
        let leases =
            LeaseClock { seen_at: Timestamp::UNIX_EPOCH, lag: 0, settled_at: LeaseTime::from_micros(0) };
        let database = Database { wall: SteppedClock::at(wall), leases: Mutex::new(leases) };
        let own = Arc::new(SteppedClock::at(Timestamp::parse("2001-01-01T00:00:00Z").unwrap()));
        let leases = Leases::new(own.clone(), LeaseClockSource::Database, LONGEST);
        (database, own, leases)
    }

    #[tokio::test]
    async fn coordinator_goes_by_the_clock_of_the_database() {
        let (database, own, leases) = apart();
        let first = leases.observe(&database).await.unwrap();
        assert_eq!((leases.now(), leases.missed()), (database.wall.now(), 3));
        own.advance(SECOND * 5);
        own.step_forward(SECOND * 1_000);
        assert_eq!(leases.now(), database.wall.now() + SECOND * 5, "between two looks, time passes");
        let moment = leases.moment();
        assert_eq!((moment.now, moment.lease), (leases.now(), first.time() + SECOND * 5));
    }

    #[tokio::test]
    async fn step_of_the_database_s_clock_moves_no_lease() {
        let (database, own, leases) = apart();
        let first = leases.observe(&database).await.unwrap();
        own.advance(SECOND);
        database.wall.advance(SECOND);
        database.wall.step_forward(SECOND * 7);
        let watch = leases.observe(&database).await.unwrap();
        assert_eq!((watch.time(), watch.skipped), (first.time() + SECOND, 7_000_000));
        own.advance(SECOND * 5);
        database.wall.advance(SECOND * 5);
        let watch = leases.observe(&database).await.unwrap();
        assert_eq!(watch.time(), first.time() + SECOND * 6);
        let moment = leases.moment();
        assert_eq!((moment.now, moment.lease), (database.wall.now(), watch.time()));
    }

    #[test]
    fn standstill_is_shorter_than_a_short_lease() {
        let standstill = |seconds| {
            let own = Arc::new(SteppedClock::at(Timestamp::UNIX_EPOCH));
            let leases = Leases::new(own, LeaseClockSource::Database, Duration::from_secs(seconds));
            leases.look_at(None).standstill.as_millis()
        };
        assert_eq!([600, 20, 1].map(standstill), [10_000, 5_000, 500]);
    }
}
