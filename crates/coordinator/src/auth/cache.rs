//! A short-lived cache of replies of the store, which joins concurrent lookups of one key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use mitosis_store::StoreError;
use tokio::time::Instant;

/// How long an entry is used.
const TTL: Duration = Duration::from_secs(2);
/// Number of entries at which expired ones are removed.
const CAPACITY: usize = 10_000;

type Lookup<V> = Shared<BoxFuture<'static, Result<V, Arc<StoreError>>>>;

/// Runs at most one lookup per key at a time. All callers that arrive meanwhile get its result.
#[derive(Debug)]
pub(crate) struct SingleFlightCache<K, V: Clone>(Mutex<HashMap<K, Entry<V>>>);

#[derive(Debug)]
struct Entry<V: Clone> {
    started: Instant,
    lookup: Lookup<V>,
}

impl<V: Clone> Entry<V> {
    /// A result is as old as the start of its lookup. Failures are not cached.
    fn is_fresh(&self) -> bool {
        self.started.elapsed() < TTL && !matches!(self.lookup.peek(), Some(Err(_)))
    }
}

impl<K, V: Clone> Default for SingleFlightCache<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone + Send + 'static> SingleFlightCache<K, V> {
    /// The cached value of a key, or else the result of `load`.
    pub(crate) async fn get<F>(&self, key: K, load: impl FnOnce() -> F) -> Result<V, Arc<StoreError>>
    where
        F: Future<Output = Result<V, StoreError>> + Send + 'static,
    {
        let lookup = self.lookup(key, load);
        lookup.await
    }

    fn lookup<F>(&self, key: K, load: impl FnOnce() -> F) -> Lookup<V>
    where
        F: Future<Output = Result<V, StoreError>> + Send + 'static,
    {
        let mut entries = self.entries();
        if let Some(entry) = entries.get(&key).filter(|entry| entry.is_fresh()) {
            return entry.lookup.clone();
        }
        if entries.len() >= CAPACITY {
            entries.retain(|_, entry| entry.is_fresh());
        }
        let lookup = load().map(|outcome| outcome.map_err(Arc::new)).boxed().shared();
        entries.insert(key, Entry { started: Instant::now(), lookup: lookup.clone() });
        lookup
    }

    /// Removes all entries, because what they depend on has changed.
    pub(crate) fn clear(&self) {
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

    /// A cache whose lookups are counted.
    #[derive(Default)]
    struct Counted {
        cache: SingleFlightCache<u8, u32>,
        lookups: Arc<AtomicU32>,
    }

    impl Counted {
        async fn get(&self, fails: bool) -> Result<u32, Arc<StoreError>> {
            let lookups = self.lookups.clone();
            let load = move || async move {
                let number = lookups.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
                if fails { Err(StoreError::Closed) } else { Ok(number) }
            };
            self.cache.get(1, load).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_callers_share_one_lookup() {
        let counted = Counted::default();
        let many = futures_util::future::join_all((0..50).map(|_| counted.get(false))).await;
        assert!(many.into_iter().all(|value| value.unwrap() == 0));
        tokio::time::advance(Duration::from_millis(1899)).await;
        assert_eq!(counted.get(false).await.unwrap(), 0, "the entry is still fresh");
        tokio::time::advance(Duration::from_millis(2)).await;
        assert_eq!(counted.get(false).await.unwrap(), 1);
        counted.cache.clear();
        assert_eq!(counted.get(false).await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn failure_is_shared_and_not_cached() {
        let counted = Counted::default();
        let many = futures_util::future::join_all((0..50).map(|_| counted.get(true))).await;
        assert!(many.iter().all(Result::is_err));
        assert_eq!(counted.get(false).await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn full_cache_drops_expired_entries() {
        let cache = SingleFlightCache::<usize, ()>::default();
        for key in 0..CAPACITY {
            cache.get(key, || async { Ok(()) }).await.unwrap();
        }
        tokio::time::advance(TTL).await;
        cache.get(CAPACITY, || async { Ok(()) }).await.unwrap();
        assert_eq!(cache.entries().len(), 1);
    }
}
