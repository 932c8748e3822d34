//! What one user may take of the coordinator at once, so that others get theirs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mitosis_domain::ids::UserId;
use mitosis_protocol::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Refusal;

/// Questions to the database that run at once: as many as the store has connections for them.
const QUESTIONS: usize = 4;
/// The same for the embedded database.
const QUESTIONS_EMBEDDED: usize = 2;
/// Questions of one user that run at once.
const RUNNING: usize = 2;
/// Questions of one user that run or wait.
const ASKED: usize = 64;
/// Streams of events of one user.
const STREAMS: usize = 64;

/// Questions that may take long: pages, counts and tables.
#[derive(Debug)]
pub(crate) struct Questions {
    all: Arc<Semaphore>,
    asked: Counts,
    running: Mutex<HashMap<UserId, Arc<Semaphore>>>,
}

/// The right to ask one question, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
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
        let of_user = own.acquire_owned().await.expect("it is never closed");
        let of_all = self.all.clone().acquire_owned().await.expect("it is never closed");
        Ok(Turn { _of_all: of_all, _of_user: of_user, _asked: asked })
    }

    fn of_user(&self, user: UserId) -> Arc<Semaphore> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits or runs holds a second reference.
        running.retain(|_, turns| Arc::strong_count(turns) > 1);
        running.entry(user).or_insert_with(|| Arc::new(Semaphore::new(RUNNING))).clone()
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
    use futures_util::poll;

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
        assert_eq!(questions.of_user(ANN).available_permits(), RUNNING);
        assert_eq!(questions.running.lock().unwrap().len(), 1, "who asks nothing is forgotten");
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
