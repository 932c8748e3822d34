//! Time as an argument.

use mitosis_protocol::Timestamp;

/// Tells the time. The one implementation that asks the machine is [`SystemClock`].
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The machine's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the ambient clock comes in")]
    fn now(&self) -> Timestamp {
        time::OffsetDateTime::now_utc().into()
    }
}
