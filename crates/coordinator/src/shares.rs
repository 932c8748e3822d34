//! What one user may take of the coordinator at once, so that others get theirs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mitosis_domain::ids::UserId;
use mitosis_protocol::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::error::Refusal;

/// Questions to the database that run at once: as many as the store has connections for them.
const QUESTIONS: usize = 4;
/// The same for the embedded database.
const QUESTIONS_EMBEDDED: usize = 2;
/// Questions of one user that run at once.
const RUNNING: usize = 2;
/// Questions that end sooner are free.
const SHORT: Duration = Duration::from_millis(250);
/// Time of long questions that a user may take in a row.
const BURST: Duration = Duration::from_secs(3);
/// After that, long questions of a user run this part of the time: one in so many seconds.
const PART: u32 = 4;
/// Questions of one user that run or wait.
const ASKED: usize = 64;
/// Streams of events of one user.
const STREAMS: usize = 64;

/// Questions that may take long: pages, counts and tables.
#[derive(Debug)]
pub(crate) struct Questions {
    all: Arc<Semaphore>,
    asked: Counts,
    running: Mutex<HashMap<UserId, Arc<OfUser>>>,
}

/// Questions of one user.
#[derive(Debug)]
struct OfUser {
    turns: Arc<Semaphore>,
    /// When the time that was taken is paid back.
    paid_back: Mutex<Instant>,
}

impl OfUser {
    fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(RUNNING)), paid_back: Mutex::new(Instant::now()) }
    }

    fn paid_back(&self) -> MutexGuard<'_, Instant> {
        self.paid_back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next question may begin.
    fn next(&self) -> Instant {
        let paid_back = *self.paid_back();
        paid_back.checked_sub(BURST * PART).unwrap_or(paid_back)
    }

    fn take(&self, spent: Duration) {
        if spent >= SHORT {
            let mut paid_back = self.paid_back();
            *paid_back = (*paid_back).max(Instant::now()) + spent * PART;
        }
    }
}

/// The right to ask one question, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    begun: Instant,
    own: Arc<OfUser>,
    _of_all: OwnedSemaphorePermit,
    _of_user: OwnedSemaphorePermit,
    _asked: Counted,
}

impl Questions {
    pub(crate) fn new(is_embedded: bool) -> Self {
        let at_once = if is_embedded { QUESTIONS_EMBEDDED } else { QUESTIONS };
        let all = Arc::new(Semaphore::new(at_once));
        Self { all, asked: Counts::default(), running: Mutex::default() }
    }

    /// Waits for a turn; 429 for a user of whom too many wait already.
    pub(crate) async fn turn(&self, user: UserId) -> Result<Turn, Refusal> {
        let asked = self.asked.take(user, ASKED).ok_or_else(|| {
            Refusal::new(
                ErrorCode::TooManyRequests,
                format!("{ASKED} questions of this account wait already"),
            )
            .hint("wait for their answers before you ask more")
        })?;
        let own = self.of_user(user);
        let of_user = own.turns.clone().acquire_owned().await.expect("it is never closed");
        tokio::time::sleep_until(own.next()).await;
        let of_all = self.all.clone().acquire_owned().await.expect("it is never closed");
        Ok(Turn { begun: Instant::now(), own, _of_all: of_all, _of_user: of_user, _asked: asked })
    }

    fn of_user(&self, user: UserId) -> Arc<OfUser> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits or runs holds a second reference.
        running.retain(|_, own| Arc::strong_count(own) > 1 || *own.paid_back() > Instant::now());
        running.entry(user).or_insert_with(|| Arc::new(OfUser::new())).clone()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.own.take(self.begun.elapsed());
    }
}

/// Counts requests, so that a long change notices that others want something meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Requests(AtomicU64);

impl Requests {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests since the start.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Streams of events.
#[derive(Debug, Default)]
pub(crate) struct Streams(Counts);

impl Streams {
    /// A place for a stream of a user, until it is dropped.
    pub(crate) fn open(&self, user: UserId) -> Result<Counted, Refusal> {
        self.0.take(user, STREAMS).ok_or_else(|| {
            Refusal::new(
                ErrorCode::TooManyRequests,
                format!("{STREAMS} streams of this account are open already"),
            )
            .hint("close some, or follow many tasks in one stream with `/v1/events`")
        })
    }
}

/// How many of something each user has.
#[derive(Debug, Clone, Default)]
struct Counts(Arc<Mutex<HashMap<UserId, usize>>>);

impl Counts {
    fn take(&self, user: UserId, most: usize) -> Option<Counted> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(user).or_default();
        (*count < most).then(|| {
            *count += 1;
            Counted { counts: self.clone(), user }
        })
    }
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Counted {
    counts: Counts,
    user: UserId,
}

impl Drop for Counted {
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
    async fn questions_of_one_user_leave_room_for_others() {
        let questions = Questions::new(false);
        let running = [questions.turn(RAJ).await.unwrap(), questions.turn(RAJ).await.unwrap()];
        let mut waiting: Vec<_> = (0..ASKED - RUNNING).map(|_| Box::pin(questions.turn(RAJ))).collect();
        for turn in &mut waiting {
            assert!(poll!(turn).is_pending());
        }
        assert!(questions.turn(RAJ).await.is_err(), "too many wait");
        drop(questions.turn(ANN).await.expect("ann is not kept by raj"));
        drop(running);
        assert!(poll!(&mut waiting[0]).is_ready());
        drop(waiting);
        drop(questions.turn(RAJ).await.expect("all is given back"));
        drop(questions.of_user(ANN));
        assert_eq!(questions.of_user(ANN).turns.available_permits(), RUNNING);
        assert_eq!(questions.running.lock().unwrap().len(), 1, "who asks nothing is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn long_questions_in_a_row_have_to_wait() {
        let questions = Questions::new(false);
        let (begun, second) = (Instant::now(), Duration::from_secs(1));
        for _ in 0..100 {
            let _turn = questions.turn(RAJ).await.unwrap();
            tokio::time::advance(SHORT / 2).await;
        }
        assert_eq!(begun.elapsed(), SHORT * 50, "short ones are free");
        let begun = Instant::now();
        for _ in 0..13 {
            let _turn = questions.turn(RAJ).await.unwrap();
            tokio::time::advance(second).await;
        }
        // The first ones at once, and then one in four seconds.
        let spent = begun.elapsed();
        assert!((second * 37..=second * 43).contains(&spent), "{spent:?}");
        let _ann = questions.turn(ANN).await.unwrap();
        assert_eq!(questions.running.lock().unwrap().len(), 2, "the time that was taken is remembered");
        tokio::time::advance(second * 60).await;
        questions.turn(RAJ).now_or_never().expect("it is paid back").unwrap();
    }

    #[test]
    fn streams_of_a_user_are_counted_while_they_are_open() {
        let streams = Streams::default();
        let mut open: Vec<_> = (0..STREAMS).map(|_| streams.open(RAJ).unwrap()).collect();
        assert!(streams.open(RAJ).is_err());
        streams.open(ANN).expect("ann has streams of her own");
        open.pop();
        open.push(streams.open(RAJ).expect("one was closed"));
    }
}
