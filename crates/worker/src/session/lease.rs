//! How long this worker may still act for the coordinator.

use std::sync::OnceLock;
use std::time::Duration;

use mitosis_client::LeaseTerms;
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
    terms: LeaseTerms,
}

impl Term {
    /// How much is left of it, or of a shorter limit that counts from the same moment.
    fn left(self, limit: Option<Duration>) -> Duration {
        self.allowed(limit).saturating_sub(self.from.elapsed())
    }

    /// How long something may run here without a renewal.
    fn allowed(self, limit: Option<Duration>) -> Duration {
        let length = length(self.terms.lease, self.terms.missed_after, limit);
        length.saturating_sub(margin(length))
    }
}

/// For how long an attempt may run without a renewal: to the end of the lease, or to its own limit. No coordinator
/// gives a task away before it misses the worker.
pub(crate) fn length(lease: Duration, missed_after: Duration, limit: Option<Duration>) -> Duration {
    limit.map_or(lease, |limit| limit.max(missed_after).min(lease))
}

/// How much earlier than at the coordinator a lease is over here.
pub(crate) fn margin(length: Duration) -> Duration {
    (length / 10).min(Duration::from_secs(10))
}

impl Lease {
    pub(crate) fn new(from: BootInstant, terms: LeaseTerms) -> Self {
        Self { term: watch::Sender::new(Term { from, terms }), mark: OnceLock::new() }
    }

    /// From now on, the guard sees it there.
    pub(crate) fn show_at(&self, mark: TermMark) {
        let mark = self.mark.get_or_init(|| mark);
        let term = *self.term.borrow();
        mark.renewed(term.from, term.terms);
    }

    /// A heartbeat sent at `from` was answered.
    pub(crate) fn renew(&self, from: BootInstant, terms: LeaseTerms) {
        let term = Term { from, terms };
        // Answers may overtake each other. What was sent last counts, also if it granted less.
        self.term.send_if_modified(|present| {
            let is_later = from >= present.from;
            if is_later {
                *present = term;
                if let Some(mark) = self.mark.get() {
                    mark.renewed(from, terms);
                }
            }
            is_later
        });
    }

    /// When what the coordinator took last was sent.
    pub(crate) fn renewed(&self) -> BootInstant {
        self.term.borrow().from
    }

    /// Whether the coordinator gives the reason when it refuses a worker.
    pub(crate) fn gives_reasons(&self) -> bool {
        self.term.borrow().terms.gives_reasons
    }

    /// After how much silence the coordinator misses this worker.
    pub(crate) fn missed_after(&self) -> Duration {
        self.term.borrow().terms.missed_after
    }

    /// Whether it is not over yet.
    pub(crate) fn holds(&self) -> bool {
        !self.left(None).is_zero()
    }

    fn left(&self, limit: Option<Duration>) -> Duration {
        self.term.borrow().left(limit)
    }

    /// Whether an attempt with this limit is still this worker's, as far as is known here.
    pub(crate) fn holds_for(&self, limit: Option<Duration>) -> bool {
        !self.left(limit).is_zero()
    }

    /// Ends when the lease holds: at once, or as soon as it is renewed.
    pub(crate) async fn in_force(&self) {
        let mut terms = self.term.subscribe();
        // The sender lives as long as this.
        while !self.holds() && terms.changed().await.is_ok() {}
    }

    /// Ends when the lease does, or when it was not renewed for a shorter limit. An attempt whose own limit passed
    /// before a renewal may have been given away, and the renewal brings it back no more.
    pub(crate) async fn over(&self, limit: Option<Duration>) {
        let mut terms = self.term.subscribe();
        loop {
            let term = *terms.borrow_and_update();
            let left = term.left(limit);
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(LOOK_AGAIN)) => {}
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
    async fn a_lease_ends_before_the_coordinator_ends_it_unless_it_is_renewed() {
        let start = Instant::now();
        let lease = Lease::new(BootInstant::now(), terms(30, 30));
        tokio::time::advance(SECOND * 20).await;
        lease.renew(BootInstant::now(), terms(30, 30));
        lease.over(None).await;
        assert_eq!(start.elapsed().as_secs(), 20 + 27);
        assert!(!lease.holds());
    }

    #[tokio::test(start_paused = true)]
    async fn silence_beyond_missed_ends_nothing_before_the_lease() {
        let start = Instant::now();
        let lease = Lease::new(BootInstant::now(), terms(600, 30));
        lease.over(None).await;
        assert_eq!(start.elapsed().as_secs(), 590);
    }

    #[tokio::test(start_paused = true)]
    async fn shorter_limit_ends_earlier_and_leaves_the_lease_in_force() {
        let start = Instant::now();
        let lease = Lease::new(BootInstant::now(), terms(600, 30));
        tokio::time::advance(SECOND * 30).await;
        lease.renew(BootInstant::now(), terms(600, 30));
        lease.over(Some(SECOND * 60)).await;
        assert_eq!(start.elapsed().as_secs(), 30 + 54);
        assert!(lease.holds());
    }

    #[tokio::test(start_paused = true)]
    async fn limit_is_at_least_missed_and_at_most_the_lease() {
        for (limit, seconds) in [(1, 27), (60, 54), (3_600, 590)] {
            let start = Instant::now();
            Lease::new(BootInstant::now(), terms(600, 30)).over(Some(SECOND * limit)).await;
            assert_eq!(start.elapsed().as_secs(), seconds, "{limit}");
        }
    }

    /// As after a suspend: the renewal is sent before anything here has looked at the clock.
    #[tokio::test(start_paused = true)]
    async fn renewal_after_the_limit_does_not_bring_an_attempt_back() {
        let lease = Lease::new(BootInstant::now(), terms(600, 30));
        let over = lease.over(Some(SECOND * 60));
        tokio::pin!(over);
        assert!(futures_util::poll!(&mut over).is_pending());
        lease.renew(BootInstant::now() + SECOND * 50, terms(600, 30));
        assert!(futures_util::poll!(&mut over).is_pending(), "renewed in time");
        lease.renew(BootInstant::now() + SECOND * 104, terms(600, 30));
        assert!(futures_util::poll!(&mut over).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn latest_renewal_counts_also_where_it_grants_less() {
        let start = Instant::now();
        let lease = Lease::new(BootInstant::now(), terms(600, 30));
        tokio::time::advance(SECOND * 10).await;
        lease.renew(BootInstant::now(), terms(60, 30));
        lease.over(None).await;
        assert_eq!(start.elapsed().as_secs(), 10 + 54);
    }

    #[tokio::test(start_paused = true)]
    async fn answer_that_comes_late_changes_nothing() {
        let first = BootInstant::now();
        let lease = Lease::new(first, terms(600, 30));
        let second = first + SECOND * 10;
        lease.renew(second, terms(600, 30));
        lease.renew(first, terms(60, 20));
        assert_eq!((lease.renewed(), lease.missed_after()), (second, SECOND * 30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_over_is_in_force_again_when_it_is_renewed() {
        let lease = Lease::new(BootInstant::now(), terms(30, 30));
        lease.in_force().await;
        lease.over(None).await;
        let renewal = async {
            tokio::time::sleep(SECOND * 5).await;
            lease.renew(BootInstant::now(), terms(30, 30));
        };
        let begun = Instant::now();
        tokio::join!(lease.in_force(), renewal);
        assert_eq!(begun.elapsed().as_secs(), 5);
    }
}
