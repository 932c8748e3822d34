//! A clock that goes on while the machine is suspended, which the clock of the runtime does not.
//!
//! Another machine may be given this one's tasks meanwhile, so leases are measured with it.

use std::sync::OnceLock;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// A moment, as the time since the machine was started. Another process of this machine counts the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BootInstant(Duration);

/// A moment as all clocks see it.
struct Anchor {
    boot: Duration,
    suspended: Duration,
    runtime: Instant,
}

impl BootInstant {
    /// The present moment: that of the runtime's clock, which a test can hold still, and what it has
    /// missed.
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

    /// The present moment as the system tells it, for a process without a runtime.
    pub(super) fn of_the_system() -> Self {
        Self(read(ClockId::CLOCK_BOOTTIME))
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().since(self)
    }

    /// None has passed if `earlier` is later.
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

/// How long the machine has been suspended since it was started.
fn suspended() -> Duration {
    // In this order, what passes between the two reads does not count as suspended.
    let awake = read(ClockId::CLOCK_MONOTONIC);
    let suspended = read(ClockId::CLOCK_BOOTTIME).saturating_sub(awake);
    // Nor does what passes between them otherwise.
    Duration::from_millis(u64::try_from(suspended.as_millis()).unwrap_or(u64::MAX))
}

fn read(clock: ClockId) -> Duration {
    // Both clocks are there on every Linux that this is built for; without them nothing is measured.
    clock_gettime(clock).map(Duration::from).unwrap_or_default()
}
