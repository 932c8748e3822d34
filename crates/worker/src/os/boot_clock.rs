//! A clock that includes the time in which the machine is suspended, unlike the clock of the runtime.
//!
//! During a suspend, the coordinator may give tasks to another machine, so leases are measured with this clock.

use std::sync::OnceLock;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// A point in time since the machine was booted. It is valid in all processes of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BootInstant(Duration);

/// One point in time on all clocks.
struct Anchor {
    boot: Duration,
    suspended: Duration,
    runtime: Instant,
}

impl BootInstant {
    /// The present time: that of the runtime's clock, which a test can pause, plus the time spent suspended.
    pub(crate) fn now() -> Self {
        static ANCHOR: OnceLock<Anchor> = OnceLock::new();
        let anchor = ANCHOR.get_or_init(|| Anchor {
            boot: read(ClockId::CLOCK_BOOTTIME),
            suspended: suspended(),
            runtime: Instant::now(),
        });
        let missed = suspended().saturating_sub(anchor.suspended);
        Self(anchor.boot + anchor.runtime.elapsed() + missed)
    }

    /// The present time by the system clock, for a process without a runtime.
    pub(super) fn system_now() -> Self {
        Self(read(ClockId::CLOCK_BOOTTIME))
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().since(self)
    }

    /// The time since `earlier`, or zero if `earlier` is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    pub(super) fn as_nanos(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn from_nanos(nanos: u64) -> Self {
        Self(Duration::from_nanos(nanos))
    }
}

impl std::ops::Add<Duration> for BootInstant {
    type Output = Self;

    fn add(self, more: Duration) -> Self {
        Self(self.0.saturating_add(more))
    }
}

/// How long the machine has been suspended since it was booted.
fn suspended() -> Duration {
    // In this order, the time between the two reads doesn't count as suspended.
    let awake = read(ClockId::CLOCK_MONOTONIC);
    let suspended = read(ClockId::CLOCK_BOOTTIME).saturating_sub(awake);
    // Rounded down, so that differences between the two reads don't count either.
    Duration::from_millis(u64::try_from(suspended.as_millis()).unwrap_or(u64::MAX))
}

fn read(clock: ClockId) -> Duration {
    // Both clocks exist on every supported Linux; without them nothing is measured.
    clock_gettime(clock).map(Duration::from).unwrap_or_default()
}
