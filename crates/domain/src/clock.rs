//! Time as an argument.

use std::time::Duration;

use mitosis_protocol::Timestamp;
use nix::time::{ClockId, clock_gettime};

/// Tells the time. The one implementation that asks the machine is [`SystemClock`].
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present moment on the wall clock, which people and programs set.
    fn now(&self) -> Timestamp;

    /// Time since some moment in the past, by a clock that is never set and goes on while the machine is suspended.
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
        // There on every Linux since 2.6.39; without it nothing is measured.
        clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
    }
}
