//! Exponential backoff.

use std::time::Duration;

/// Doubles from `first` up to `ceiling`. Each pause varies at random by up to half of itself, so that workers
/// that lost their coordinator don't return at the same time.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    ceiling: Duration,
    attempt: u32,
}

impl Backoff {
    /// Starts at `first` and ends at `ceiling`.
    pub const fn new(first: Duration, ceiling: Duration) -> Self {
        Self { first, ceiling, attempt: 0 }
    }

    /// Continues after this number of pauses.
    #[must_use]
    pub const fn after(self, attempt: u32) -> Self {
        Self { attempt, ..self }
    }

    /// Returns the next pause. `chance` is uniform in `0..=u32::MAX`.
    pub fn next_wait(&mut self, chance: u32) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(self.attempt).unwrap_or(u32::MAX));
        self.attempt = self.attempt.saturating_add(1);
        let full = doubled.min(self.ceiling);
        let half = full / 2;
        half + half.mul_f64(f64::from(chance) / f64::from(u32::MAX))
    }

    /// Starts over after a success.
    pub const fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_ceiling_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let waits: Vec<_> = (0..8).map(|_| backoff.next_wait(u32::MAX).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        backoff.reset();
        assert_eq!(backoff.next_wait(0), Duration::from_millis(50));
        for _ in 0..100 {
            assert!(backoff.next_wait(u32::MAX) <= Duration::from_secs(5));
        }
        assert_eq!(backoff.after(2).next_wait(u32::MAX), Duration::from_millis(400));
    }
}
