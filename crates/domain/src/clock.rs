//! The time as an argument.

use std::time::Duration;

use mitosis_protocol::Timestamp;
use nix::time::{ClockId, clock_gettime};

/// A source of time. Only [`SystemClock`] reads the clocks of the machine.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present time on the wall clock, which can be set.
    fn now(&self) -> Timestamp;

    /// The time since some moment in the past, on a clock that is never set and that includes suspends.
    fn steady(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the ambient clock comes in")]
    fn now(&self) -> Timestamp {
        time::OffsetDateTime::now_utc().into()
    }

    fn steady(&self) -> Duration {
        // Available on every Linux since 2.6.39; without it nothing is measured.
        clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
    }
}
