//! Answers of the store that count for a moment, for everything that asks the same.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use mitosis_store::StoreError;
use tokio::time::Instant;

/// How long an answer counts.
const COUNTS: Duration = Duration::from_secs(2);
/// Answers that are kept; those that do not count any more go first.
const KEPT: usize = 10_000;

type Answer<V> = Shared<BoxFuture<'static, Result<V, Arc<StoreError>>>>;

/// At any moment, the store is asked at most once for each key, and all who wait get the one answer.
#[derive(Debug)]
pub(crate) struct Remembered<K, V: Clone>(Mutex<HashMap<K, Entry<V>>>);

#[derive(Debug)]
struct Entry<V: Clone> {
    asked: Instant,
    answer: Answer<V>,
}

impl<V: Clone> Entry<V> {
    /// An answer may be as old as the question. A failure is not kept.
    fn counts(&self) -> bool {
        self.asked.elapsed() < COUNTS && !matches!(self.answer.peek(), Some(Err(_)))
    }
}

impl<K, V: Clone> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone + Send + 'static> Remembered<K, V> {
    /// The answer to a question that was asked lately, or else to `ask`.
    pub(crate) async fn get<F>(&self, key: K, ask: impl FnOnce() -> F) -> Result<V, Arc<StoreError>>
    where
        F: Future<Output = Result<V, StoreError>> + Send + 'static,
    {
        let answer = self.entry(key, ask);
        answer.await
    }

    fn entry<F>(&self, key: K, ask: impl FnOnce() -> F) -> Answer<V>
    where
        F: Future<Output = Result<V, StoreError>> + Send + 'static,
    {
        let mut entries = self.entries();
        if let Some(entry) = entries.get(&key).filter(|entry| entry.counts()) {
            return entry.answer.clone();
        }
        if entries.len() >= KEPT {
            entries.retain(|_, entry| entry.counts());
        }
        let answer = ask().map(|outcome| outcome.map_err(Arc::new)).boxed().shared();
        entries.insert(key, Entry { asked: Instant::now(), answer: answer.clone() });
        answer
    }

    /// Lets no earlier answer count: something changed that they depend on.
    pub(crate) fn forget_all(&self) {
        self.entries().clear();
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<K, Entry<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Default)]
    struct Asked {
        answers: Remembered<u8, u32>,
        times: Arc<AtomicU32>,
    }

    impl Asked {
        async fn get(&self, fails: bool) -> Result<u32, Arc<StoreError>> {
            let times = self.times.clone();
            let ask = move || async move {
                let time = times.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
                if fails { Err(StoreError::Closed) } else { Ok(time) }
            };
            self.answers.get(1, ask).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_question_answers_all_who_ask_meanwhile() {
        let asked = Asked::default();
        let many = futures_util::future::join_all((0..50).map(|_| asked.get(false))).await;
        assert!(many.into_iter().all(|answer| answer.unwrap() == 0));
        tokio::time::advance(Duration::from_millis(1899)).await;
        assert_eq!(asked.get(false).await.unwrap(), 0, "it still counts");
        tokio::time::advance(Duration::from_millis(2)).await;
        assert_eq!(asked.get(false).await.unwrap(), 1);
        asked.answers.forget_all();
        assert_eq!(asked.get(false).await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn failure_is_shared_and_not_kept() {
        let asked = Asked::default();
        let many = futures_util::future::join_all((0..50).map(|_| asked.get(true))).await;
        assert!(many.iter().all(Result::is_err));
        assert_eq!(asked.get(false).await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_count_no_more_make_room() {
        let answers = Remembered::<usize, ()>::default();
        for key in 0..KEPT {
            answers.get(key, || async { Ok(()) }).await.unwrap();
        }
        tokio::time::advance(COUNTS).await;
        answers.get(KEPT, || async { Ok(()) }).await.unwrap();
        assert_eq!(answers.entries().len(), 1);
    }
}
