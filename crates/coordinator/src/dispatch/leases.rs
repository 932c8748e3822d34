//! The time that leases are measured in, and the clock of the database, between two looks at them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mitosis_domain::clock::Clock;
use mitosis_domain::lease::{LeaseTime, Moment};
use mitosis_protocol::Timestamp;
use mitosis_store::ops::reaper::{LeaseLook, LeaseWatch};
use mitosis_store::{Fault, Store};

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
    watch: LeaseWatch,
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
    pub(crate) async fn look(&self, store: &dyn Store) -> Result<LeaseWatch, Fault> {
        let parts = &*self.0;
        let mut steady = parts.clock.steady();
        let mut watch = store.watch_leases(self.look_at(None)).await?;
        if let Some(bound) = self.bound(parts.clock.steady())
            && bound + TOLERANCE < watch.time()
        {
            tracing::warn!("the wall clock of the database was set forward; leases go by the steady clock");
            steady = parts.clock.steady();
            watch = store.watch_leases(self.look_at(self.bound(steady))).await?;
        }
        if watch.skipped != 0 {
            let seconds = watch.skipped / 1_000_000;
            tracing::info!(
                seconds,
                "leases were not watched over, or a clock was set; all of them are extended"
            );
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

    fn look_at(&self, at_most: Option<LeaseTime>) -> LeaseLook {
        let now: Option<Timestamp> = match self.0.source {
            LeaseClockSource::Database => None,
            LeaseClockSource::Process { .. } => Some(self.0.clock.now()),
        };
        LeaseLook { now, standstill: self.0.standstill, at_most }
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
