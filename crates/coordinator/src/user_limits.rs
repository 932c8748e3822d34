//! Limits on the queries and event streams of each user, so that one user does not slow down the others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mitosis_domain::ids::UserId;
use mitosis_protocol::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::error::Rejection;

/// Concurrent queries of all users: the number of connections that the store reserves for them.
const CONCURRENT_QUERIES: usize = 4;
/// The same limit for the embedded database.
const CONCURRENT_QUERIES_EMBEDDED: usize = 2;
/// Concurrent queries of one user.
const CONCURRENT_PER_USER: usize = 2;
/// Queries that take less time than this are not charged.
const FREE_DURATION: Duration = Duration::from_millis(250);
/// Query time that a user may spend in a row before the rate limit applies.
const BURST: Duration = Duration::from_secs(3);
/// A user beyond the burst gets this fraction of the time: one second in `RATE_DIVISOR`.
const RATE_DIVISOR: u32 = 4;
/// Queries of one user that run or wait.
const QUEUED_PER_USER: usize = 64;
/// Open event streams of one user.
const STREAMS_PER_USER: usize = 64;

/// Limits queries that may take long: pages, counts and tables.
#[derive(Debug)]
pub(crate) struct QueryLimiter {
    all: Arc<Semaphore>,
    queued: UserCounts,
    users: Mutex<HashMap<UserId, Arc<UserBudget>>>,
}

/// The concurrency and the time budget of one user.
#[derive(Debug)]
struct UserBudget {
    permits: Arc<Semaphore>,
    /// When the time that was spent is paid back.
    repaid_at: Mutex<Instant>,
}

impl UserBudget {
    fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(CONCURRENT_PER_USER)), repaid_at: Mutex::new(Instant::now()) }
    }

    fn repaid_at(&self) -> MutexGuard<'_, Instant> {
        self.repaid_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next query may start.
    fn next_start(&self) -> Instant {
        let repaid_at = *self.repaid_at();
        repaid_at.checked_sub(BURST * RATE_DIVISOR).unwrap_or(repaid_at)
    }

    fn charge(&self, spent: Duration) {
        if spent >= FREE_DURATION {
            let mut repaid_at = self.repaid_at();
            *repaid_at = (*repaid_at).max(Instant::now()) + spent * RATE_DIVISOR;
        }
    }
}

/// The permission to run one query. Dropping it charges the elapsed time to the user.
#[derive(Debug)]
pub(crate) struct QueryPermit {
    started: Instant,
    budget: Arc<UserBudget>,
    _of_all: OwnedSemaphorePermit,
    _of_user: OwnedSemaphorePermit,
    _queued: CountGuard,
}

impl QueryLimiter {
    pub(crate) fn new(is_embedded: bool) -> Self {
        let limit = if is_embedded { CONCURRENT_QUERIES_EMBEDDED } else { CONCURRENT_QUERIES };
        let all = Arc::new(Semaphore::new(limit));
        Self { all, queued: UserCounts::default(), users: Mutex::default() }
    }

    /// Waits for a permit. Fails with 429 if too many queries of the user wait already.
    pub(crate) async fn acquire(&self, user: UserId) -> Result<QueryPermit, Rejection> {
        let queued = self.queued.increment(user, QUEUED_PER_USER).ok_or_else(|| {
            Rejection::new(
                ErrorCode::TooManyRequests,
                format!("{QUEUED_PER_USER} queries of this account are already running or waiting"),
            )
            .hint("wait for their replies before you send more")
        })?;
        let budget = self.budget(user);
        let of_user = budget.permits.clone().acquire_owned().await.expect("it is never closed");
        tokio::time::sleep_until(budget.next_start()).await;
        let of_all = self.all.clone().acquire_owned().await.expect("it is never closed");
        Ok(QueryPermit {
            started: Instant::now(),
            budget,
            _of_all: of_all,
            _of_user: of_user,
            _queued: queued,
        })
    }

    fn budget(&self, user: UserId) -> Arc<UserBudget> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        // A query that waits or runs holds a second reference.
        users.retain(|_, budget| Arc::strong_count(budget) > 1 || *budget.repaid_at() > Instant::now());
        users.entry(user).or_insert_with(|| Arc::new(UserBudget::new())).clone()
    }
}

impl Drop for QueryPermit {
    fn drop(&mut self) {
        self.budget.charge(self.started.elapsed());
    }
}

/// Counts all requests, so that a bulk operation notices whether others have arrived meanwhile.
#[derive(Debug, Default)]
pub(crate) struct RequestCounter(AtomicU64);

impl RequestCounter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of requests since the start.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Limits the open event streams of each user.
#[derive(Debug, Default)]
pub(crate) struct StreamLimiter(UserCounts);

impl StreamLimiter {
    /// Counts a stream of a user until the guard is dropped. Fails with 429 if too many are open.
    pub(crate) fn open(&self, user: UserId) -> Result<CountGuard, Rejection> {
        self.0.increment(user, STREAMS_PER_USER).ok_or_else(|| {
            Rejection::new(
                ErrorCode::TooManyRequests,
                format!("{STREAMS_PER_USER} streams of this account are already open"),
            )
            .hint("close some, or follow many tasks in one stream with `/v1/events`")
        })
    }
}

/// A counter for each user.
#[derive(Debug, Clone, Default)]
struct UserCounts(Arc<Mutex<HashMap<UserId, usize>>>);

impl UserCounts {
    /// Adds one until the guard is dropped; `None` if the user has `limit` already.
    fn increment(&self, user: UserId, limit: usize) -> Option<CountGuard> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(user).or_default();
        (*count < limit).then(|| {
            *count += 1;
            CountGuard { counts: self.clone(), user }
        })
    }
}

/// Decrements the counter of a user when it is dropped.
#[derive(Debug)]
pub(crate) struct CountGuard {
    counts: UserCounts,
    user: UserId,
}

impl Drop for CountGuard {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, poll};

    use super::*;

    const ANN: UserId = UserId(1);
    const RAJ: UserId = UserId(2);

    #[tokio::test]
    async fn queries_of_one_user_leave_room_for_others() {
        let limiter = QueryLimiter::new(false);
        let running = [limiter.acquire(RAJ).await.unwrap(), limiter.acquire(RAJ).await.unwrap()];
        let mut waiting: Vec<_> =
            (0..QUEUED_PER_USER - CONCURRENT_PER_USER).map(|_| Box::pin(limiter.acquire(RAJ))).collect();
        for permit in &mut waiting {
            assert!(poll!(permit).is_pending());
        }
        assert!(limiter.acquire(RAJ).await.is_err(), "too many wait");
        drop(limiter.acquire(ANN).await.expect("raj does not block ann"));
        drop(running);
        assert!(poll!(&mut waiting[0]).is_ready());
        drop(waiting);
        drop(limiter.acquire(RAJ).await.expect("all permits were returned"));
        drop(limiter.budget(ANN));
        assert_eq!(limiter.budget(ANN).permits.available_permits(), CONCURRENT_PER_USER);
        assert_eq!(limiter.users.lock().unwrap().len(), 1, "idle users are removed");
    }

    #[tokio::test(start_paused = true)]
    async fn long_queries_in_a_row_have_to_wait() {
        let limiter = QueryLimiter::new(false);
        let (started, second) = (Instant::now(), Duration::from_secs(1));
        for _ in 0..100 {
            let _permit = limiter.acquire(RAJ).await.unwrap();
            tokio::time::advance(FREE_DURATION / 2).await;
        }
        assert_eq!(started.elapsed(), FREE_DURATION * 50, "short ones are free");
        let started = Instant::now();
        for _ in 0..13 {
            let _permit = limiter.acquire(RAJ).await.unwrap();
            tokio::time::advance(second).await;
        }
        // The first ones start at once, and then one in four seconds.
        let spent = started.elapsed();
        assert!((second * 37..=second * 43).contains(&spent), "{spent:?}");
        let _ann = limiter.acquire(ANN).await.unwrap();
        assert_eq!(limiter.users.lock().unwrap().len(), 2, "the debt of a user is kept");
        tokio::time::advance(second * 60).await;
        limiter.acquire(RAJ).now_or_never().expect("the debt is repaid").unwrap();
    }

    #[test]
    fn open_streams_of_a_user_are_limited() {
        let streams = StreamLimiter::default();
        let mut open: Vec<_> = (0..STREAMS_PER_USER).map(|_| streams.open(RAJ).unwrap()).collect();
        assert!(streams.open(RAJ).is_err());
        streams.open(ANN).expect("the limit is per user");
        open.pop();
        open.push(streams.open(RAJ).expect("one was closed"));
    }
}
