//! How long this worker may still act for the coordinator.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// A lease that heartbeats renew. It counts from the moment a heartbeat was *sent*, and ends a little
/// early, so that it is over here before it is over at the coordinator.
#[derive(Debug)]
pub(crate) struct Lease(watch::Sender<Term>);

#[derive(Debug, Clone, Copy)]
struct Term {
    from: Instant,
    until: Instant,
    length: Duration,
}

impl Term {
    fn new(from: Instant, length: Duration) -> Self {
        let margin = (length / 10).min(Duration::from_secs(10));
        Self { from, until: from + length.saturating_sub(margin), length }
    }
}

impl Lease {
    pub(crate) fn new(from: Instant, length: Duration) -> Self {
        Self(watch::Sender::new(Term::new(from, length)))
    }

    /// A heartbeat sent at `from` was answered.
    pub(crate) fn renew(&self, from: Instant, length: Duration) {
        let term = Term::new(from, length);
        // Answers may overtake each other.
        self.0.send_if_modified(|present| {
            let is_later = term.until > present.until;
            if is_later {
                *present = term;
            }
            is_later
        });
    }

    /// When what the coordinator took last was sent.
    pub(crate) fn renewed(&self) -> Instant {
        self.0.borrow().from
    }

    /// What the coordinator granted last.
    pub(crate) fn length(&self) -> Duration {
        self.0.borrow().length
    }

    /// Whether it is not over yet.
    pub(crate) fn holds(&self) -> bool {
        Instant::now() < self.0.borrow().until
    }

    /// Ends when the lease holds: at once, or as soon as it is renewed.
    pub(crate) async fn in_force(&self) {
        let mut terms = self.0.subscribe();
        // The sender lives as long as this.
        while !self.holds() && terms.changed().await.is_ok() {}
    }

    /// Ends when the lease does.
    pub(crate) async fn over(&self) {
        while self.holds() {
            let until = self.0.borrow().until;
            tokio::time::sleep_until(until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lease_ends_before_the_coordinator_ends_it_unless_it_is_renewed() {
        let start = Instant::now();
        let lease = Lease::new(start, Duration::from_secs(30));
        tokio::time::advance(Duration::from_secs(20)).await;
        lease.renew(Instant::now(), Duration::from_secs(30));
        lease.over().await;
        assert_eq!(start.elapsed().as_secs(), 20 + 27);
        assert!(!lease.holds());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_over_is_in_force_again_when_it_is_renewed() {
        let lease = Lease::new(Instant::now(), Duration::from_secs(30));
        lease.in_force().await;
        lease.over().await;
        let renewal = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            lease.renew(Instant::now(), Duration::from_secs(30));
        };
        let begun = Instant::now();
        tokio::join!(lease.in_force(), renewal);
        assert_eq!(begun.elapsed().as_secs(), 5);
    }
}
