//! The lease of a registration: how long this worker may act for the coordinator.

use std::sync::OnceLock;
use std::time::Duration;

use mitosis_client::LeaseTerms;
use tokio::sync::watch;

use crate::lease_limits::{length, margin};
use crate::os::boot_clock::BootInstant;
use crate::os::guard::LeaseEntry;

/// The maximum time between two checks of the clock: timers stop while the machine is suspended.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A lease that heartbeats renew. It counts from the moment a heartbeat was *sent* and includes a margin, so
/// that it expires here before it expires at the coordinator.
#[derive(Debug)]
pub(crate) struct Lease {
    term: watch::Sender<Term>,
    /// The table entry in which the guard sees the lease.
    entry: OnceLock<LeaseEntry>,
}

#[derive(Debug, Clone, Copy)]
struct Term {
    from: BootInstant,
    terms: LeaseTerms,
}

impl Term {
    /// How much of the lease remains, or of a shorter limit that counts from the same moment.
    fn remaining(self, limit: Option<Duration>) -> Duration {
        self.allowed(limit).saturating_sub(self.from.elapsed())
    }

    /// How long an attempt may run without a renewal, with the margin deducted.
    fn allowed(self, limit: Option<Duration>) -> Duration {
        let length = length(self.terms.lease, self.terms.missed_after, limit);
        length.saturating_sub(margin(length))
    }
}

impl Lease {
    pub(crate) fn new(from: BootInstant, terms: LeaseTerms) -> Self {
        Self { term: watch::Sender::new(Term { from, terms }), entry: OnceLock::new() }
    }

    /// Publishes the lease and its renewals to the guard.
    pub(crate) fn publish_to(&self, entry: LeaseEntry) {
        let entry = self.entry.get_or_init(|| entry);
        let term = *self.term.borrow();
        entry.renewed(term.from, term.terms);
    }

    /// Applies the answer to a heartbeat that was sent at `from`.
    pub(crate) fn renew(&self, from: BootInstant, terms: LeaseTerms) {
        let term = Term { from, terms };
        // Answers may arrive out of order. The heartbeat that was sent last counts, also if it granted less.
        self.term.send_if_modified(|present| {
            let is_later = from >= present.from;
            if is_later {
                *present = term;
                if let Some(entry) = self.entry.get() {
                    entry.renewed(from, terms);
                }
            }
            is_later
        });
    }

    /// When the last successful renewal was sent.
    pub(crate) fn renewed(&self) -> BootInstant {
        self.term.borrow().from
    }

    /// Whether the coordinator gives the reason when it refuses a worker.
    pub(crate) fn gives_reasons(&self) -> bool {
        self.term.borrow().terms.gives_reasons
    }

    /// The silence after which the coordinator counts this worker as missed.
    pub(crate) fn missed_after(&self) -> Duration {
        self.term.borrow().terms.missed_after
    }

    /// Whether the lease has not expired.
    pub(crate) fn is_valid(&self) -> bool {
        !self.remaining(None).is_zero()
    }

    fn remaining(&self, limit: Option<Duration>) -> Duration {
        self.term.borrow().remaining(limit)
    }

    /// Whether an attempt with this limit is still held, as far as this worker knows.
    pub(crate) fn is_valid_for(&self, limit: Option<Duration>) -> bool {
        !self.remaining(limit).is_zero()
    }

    /// Waits until the lease is valid: at once, or as soon as it is renewed.
    pub(crate) async fn valid(&self) {
        let mut terms = self.term.subscribe();
        // The sender lives as long as the lease.
        while !self.is_valid() && terms.changed().await.is_ok() {}
    }

    /// Waits until the lease expires, or until it has not been renewed for a shorter limit. An attempt whose
    /// own limit passed before a renewal may have been requeued, and the renewal doesn't restore it.
    pub(crate) async fn expired(&self, limit: Option<Duration>) {
        let mut terms = self.term.subscribe();
        loop {
            let term = *terms.borrow_and_update();
            let remaining = term.remaining(limit);
            if remaining.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(remaining.min(POLL_INTERVAL)) => {}
                Ok(()) = terms.changed(), if limit.is_some() => {
                    if terms.borrow().from.since(term.from) >= term.allowed(limit) {
                        return;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn terms(lease: u32, missed_after: u32) -> LeaseTerms {
        let (lease, missed_after) = (SECOND * lease, SECOND * missed_after);
        LeaseTerms { lease, missed_after, gives_reasons: true }
    }

    #[tokio::test(start_paused = true)]
    async fn lease_expires_earlier_than_at_the_coordinator() {
        let start = Instant::now();
        let lease = Lease::new(BootInstant::now(), terms(30, 30));
        tokio::time::advance(SECOND * 20).await;
        lease.renew(BootInstant::now(), terms(30, 30));
        lease.expired(None).await;
        assert_eq!(start.elapsed().as_secs(), 20 + 27);
        assert!(!lease.is_valid());
    }

    #[tokio::test(start_paused = true)]
    async fn missed_worker_keeps_its_lease() {
        let start = Instant::now();
        let lease = Lease::new(BootInstant::now(), terms(600, 30));
        lease.expired(None).await;
        assert_eq!(start.elapsed().as_secs(), 590);
    }

    #[tokio::test(start_paused = true)]
    async fn shorter_limit_expires_before_the_lease() {
        let start = Instant::now();
        let lease = Lease::new(BootInstant::now(), terms(600, 30));
        tokio::time::advance(SECOND * 30).await;
        lease.renew(BootInstant::now(), terms(600, 30));
        lease.expired(Some(SECOND * 60)).await;
        assert_eq!(start.elapsed().as_secs(), 30 + 54);
        assert!(lease.is_valid());
    }

    #[tokio::test(start_paused = true)]
    async fn limit_is_between_the_missed_time_and_the_lease() {
        for (limit, seconds) in [(1, 27), (60, 54), (3_600, 590)] {
            let start = Instant::now();
            Lease::new(BootInstant::now(), terms(600, 30)).expired(Some(SECOND * limit)).await;
            assert_eq!(start.elapsed().as_secs(), seconds, "{limit}");
        }
    }

    /// As after a suspend: the renewal is sent before the clock is checked.
    #[tokio::test(start_paused = true)]
    async fn renewal_after_the_limit_does_not_restore_an_attempt() {
        let lease = Lease::new(BootInstant::now(), terms(600, 30));
        let expired = lease.expired(Some(SECOND * 60));
        tokio::pin!(expired);
        assert!(futures_util::poll!(&mut expired).is_pending());
        lease.renew(BootInstant::now() + SECOND * 50, terms(600, 30));
        assert!(futures_util::poll!(&mut expired).is_pending(), "renewed in time");
        lease.renew(BootInstant::now() + SECOND * 104, terms(600, 30));
        assert!(futures_util::poll!(&mut expired).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn latest_renewal_counts_even_if_it_grants_less() {
        let start = Instant::now();
        let lease = Lease::new(BootInstant::now(), terms(600, 30));
        tokio::time::advance(SECOND * 10).await;
        lease.renew(BootInstant::now(), terms(60, 30));
        lease.expired(None).await;
        assert_eq!(start.elapsed().as_secs(), 10 + 54);
    }

    #[tokio::test(start_paused = true)]
    async fn late_answer_changes_nothing() {
        let first = BootInstant::now();
        let lease = Lease::new(first, terms(600, 30));
        let second = first + SECOND * 10;
        lease.renew(second, terms(600, 30));
        lease.renew(first, terms(60, 20));
        assert_eq!((lease.renewed(), lease.missed_after()), (second, SECOND * 30));
    }

    #[tokio::test(start_paused = true)]
    async fn renewal_makes_an_expired_lease_valid_again() {
        let lease = Lease::new(BootInstant::now(), terms(30, 30));
        lease.valid().await;
        lease.expired(None).await;
        let renewal = async {
            tokio::time::sleep(SECOND * 5).await;
            lease.renew(BootInstant::now(), terms(30, 30));
        };
        let begun = Instant::now();
        tokio::join!(lease.valid(), renewal);
        assert_eq!(begun.elapsed().as_secs(), 5);
    }
}
