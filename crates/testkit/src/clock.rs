//! A clock that only the test moves.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mitosis_domain::clock::Clock;
use mitosis_protocol::Timestamp;

/// A clock that changes only when the test moves it.
#[derive(Debug)]
pub struct SteppedClock(Mutex<Reading>);

#[derive(Debug, Clone, Copy)]
struct Reading {
    wall: Timestamp,
    steady: Duration,
}

impl SteppedClock {
    /// Creates a clock that shows this time.
    pub fn at(start: Timestamp) -> Self {
        Self(Mutex::new(Reading { wall: start, steady: Duration::ZERO }))
    }

    /// Advances both clocks.
    pub fn advance(&self, by: Duration) {
        let mut reading = self.reading();
        reading.wall = reading.wall.saturating_add(by);
        reading.steady += by;
    }

    /// Sets the wall clock forward; no time passes.
    pub fn step_forward(&self, by: Duration) {
        let mut reading = self.reading();
        reading.wall = reading.wall.saturating_add(by);
    }

    /// Sets the wall clock back; no time passes.
    pub fn step_back(&self, by: Duration) {
        let mut reading = self.reading();
        reading.wall = reading.wall - by;
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> Timestamp {
        self.reading().wall
    }

    fn steady(&self) -> Duration {
        self.reading().steady
    }
}
