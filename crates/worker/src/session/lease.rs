//! How long this worker may still act for the coordinator.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::watch;

use crate::os::boot_clock::BootInstant;
use crate::os::guard::TermMark;

/// Longest time between two looks at the clock: timers stand still while the machine is suspended.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A lease that heartbeats renew. It counts from the moment a heartbeat was *sent*, and ends a little
/// early, so that it is over here before it is over at the coordinator.
#[derive(Debug)]
pub(crate) struct Lease {
    term: watch::Sender<Term>,
    /// Where the guard sees it.
    mark: OnceLock<TermMark>,
}

#[derive(Debug, Clone, Copy)]
struct Term {
    from: BootInstant,
    length: Duration,
}

impl Term {
    /// How much is left of it, or of a shorter limit that counts from the same moment.
    fn left(self, limit: Option<Duration>) -> Duration {
        let length = limit.map_or(self.length, |limit| limit.min(self.length));
        length.saturating_sub(margin(length)).saturating_sub(self.from.elapsed())
    }

    fn end(self) -> BootInstant {
        self.from + self.length
    }
}

/// How much earlier than at the coordinator a lease is over here.
pub(crate) fn margin(length: Duration) -> Duration {
    (length / 10).min(Duration::from_secs(10))
}

impl Lease {
    pub(crate) fn new(from: BootInstant, length: Duration) -> Self {
        Self { term: watch::Sender::new(Term { from, length }), mark: OnceLock::new() }
    }

    /// From now on, the guard sees it there.
    pub(crate) fn show_at(&self, mark: TermMark) {
        let mark = self.mark.get_or_init(|| mark);
        let term = *self.term.borrow();
        mark.renewed(term.from, term.length);
    }

    /// A heartbeat sent at `from` was answered.
    pub(crate) fn renew(&self, from: BootInstant, length: Duration) {
        let term = Term { from, length };
        // Answers may overtake each other.
        self.term.send_if_modified(|present| {
            let is_later = term.end() > present.end();
            if is_later {
                *present = term;
                if let Some(mark) = self.mark.get() {
                    mark.renewed(from, length);
                }
            }
            is_later
        });
    }

    /// When what the coordinator took last was sent.
    pub(crate) fn renewed(&self) -> BootInstant {
        self.term.borrow().from
    }

    /// What the coordinator granted last.
    pub(crate) fn length(&self) -> Duration {
        self.term.borrow().length
    }

    /// Whether it is not over yet.
    pub(crate) fn holds(&self) -> bool {
        !self.left(None).is_zero()
    }

    fn left(&self, limit: Option<Duration>) -> Duration {
        self.term.borrow().left(limit)
    }

    /// Ends when the lease holds: at once, or as soon as it is renewed.
    pub(crate) async fn in_force(&self) {
        let mut terms = self.term.subscribe();
        // The sender lives as long as this.
        while !self.holds() && terms.changed().await.is_ok() {}
    }

    /// Ends when the lease does, or when it was not renewed for a shorter limit.
    pub(crate) async fn over(&self, limit: Option<Duration>) {
        loop {
            let left = self.left(limit);
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LOOK_AGAIN)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lease_ends_before_the_coordinator_ends_it_unless_it_is_renewed() {
        let start = Instant::now();
        let lease = Lease::new(BootInstant::now(), Duration::from_secs(30));
        tokio::time::advance(Duration::from_secs(20)).await;
        lease.renew(BootInstant::now(), Duration::from_secs(30));
        lease.over(None).await;
        assert_eq!(start.elapsed().as_secs(), 20 + 27);
        assert!(!lease.holds());
    }

    #[tokio::test(start_paused = true)]
    async fn shorter_limit_ends_earlier_and_leaves_the_lease_in_force() {
        let start = Instant::now();
        let lease = Lease::new(BootInstant::now(), Duration::from_secs(600));
        tokio::time::advance(Duration::from_secs(30)).await;
        lease.renew(BootInstant::now(), Duration::from_secs(600));
        lease.over(Some(Duration::from_secs(60))).await;
        assert_eq!(start.elapsed().as_secs(), 30 + 54);
        assert!(lease.holds());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_over_is_in_force_again_when_it_is_renewed() {
        let lease = Lease::new(BootInstant::now(), Duration::from_secs(30));
        lease.in_force().await;
        lease.over(None).await;
        let renewal = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            lease.renew(BootInstant::now(), Duration::from_secs(30));
        };
        let begun = Instant::now();
        tokio::join!(lease.in_force(), renewal);
        assert_eq!(begun.elapsed().as_secs(), 5);
    }
}
