//! The tasks of a service, and what follows from their end.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::message;

/// Wait before the first restart of a task. It doubles with each restart.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait before a restart.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A restarted task counts as recovered after running for this long.
const RECOVERED_AFTER: Duration = Duration::from_mins(1);

/// A task whose end stopped the service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("background task `{task}` {}", how(.panic.as_deref()))]
pub struct TaskFailed {
    /// Name of the task.
    pub task: &'static str,
    /// Message of its panic; `None` if it returned.
    pub panic: Option<String>,
}

fn how(panic: Option<&str>) -> String {
    panic.map_or_else(|| "ended early".to_owned(), |message| format!("panicked: {message}"))
}

/// The state of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStatus {
    /// Name of the task.
    pub name: &'static str,
    /// Number of restarts since the start of the service.
    pub restarts: u64,
    /// Whether the task has failed and not recovered since.
    pub is_failing: bool,
}

/// Runs the background tasks of one service; cheap to clone.
///
/// A service stops in two steps. [`Self::stopping`] is cancelled first: tasks and held requests end. When the last
/// request has been answered, [`Self::close`] ends the tasks that serve requests, and waits for all.
#[derive(Debug, Clone)]
pub struct Background(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tasks: TaskTracker,
    stopping: CancellationToken,
    closing: CancellationToken,
    failure: Mutex<Option<TaskFailed>>,
    statuses: Mutex<Vec<TaskStatus>>,
}

impl Background {
    /// An empty set of tasks; `stopping` stops the service.
    pub fn new(stopping: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            tasks: TaskTracker::new(),
            stopping,
            closing: CancellationToken::new(),
            failure: Mutex::default(),
            statuses: Mutex::default(),
        }))
    }

    /// Spawns a task that the service can't do without. If it ends before [`Self::stopping`] is cancelled, the service
    /// stops, and [`Self::failure`] says why.
    pub fn spawn_critical<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.register(name);
        let background = self.clone();
        self.track(async move {
            let outcome = AssertUnwindSafe(future).catch_unwind().await;
            background.critical_task_ended(name, outcome.as_ref().err().map(|panic| message(&**panic)));
        });
    }

    /// Like [`Self::spawn_critical`], for a task that requests wait for: it runs until [`Self::close`].
    pub fn spawn_serving<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let closing = self.0.closing.clone();
        self.spawn_critical(name, async move {
            closing.run_until_cancelled_owned(future).await;
        });
    }

    /// Spawns a task that is made again, after a growing wait, whenever it ends before [`Self::stopping`] is cancelled.
    pub fn spawn_restarting<F>(&self, name: &'static str, mut make: impl FnMut() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.register(name);
        let background = self.clone();
        self.track(async move {
            let mut wait = FIRST_WAIT;
            loop {
                let run = AssertUnwindSafe(make()).catch_unwind();
                let started = tokio::time::Instant::now();
                let outcome = background.watch_recovery(name, run).await;
                if background.is_stopping() && outcome.is_ok() {
                    return;
                }
                let panic = outcome.as_ref().err().map(|panic| message(&**panic));
                if started.elapsed() >= RECOVERED_AFTER {
                    wait = FIRST_WAIT;
                }
                tracing::error!(task = name, panic, ?wait, "a background task ended; restarting it");
                background.update(name, |status| {
                    status.restarts += 1;
                    status.is_failing = true;
                });
                let stopped = background.0.stopping.cancelled();
                if tokio::time::timeout(wait, stopped).await.is_ok() {
                    return;
                }
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        });
    }

    /// Cancelled when the service begins to stop.
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// The first critical task that ended early.
    pub fn failure(&self) -> Option<TaskFailed> {
        lock(&self.0.failure).clone()
    }

    /// The state of every task, in the order in which they were spawned.
    pub fn statuses(&self) -> Vec<TaskStatus> {
        lock(&self.0.statuses).clone()
    }

    /// Notes that a restarted task does its work again.
    pub fn recovered(&self, name: &'static str) {
        self.update(name, |status| status.is_failing = false);
    }

    /// Ends tasks that serve requests, and waits for all tasks; `false` if some did not end within `limit`.
    pub async fn close(&self, limit: Duration) -> bool {
        self.0.stopping.cancel();
        self.0.closing.cancel();
        self.0.tasks.close();
        tokio::time::timeout(limit, self.0.tasks.wait()).await.is_ok()
    }

    #[expect(clippy::disallowed_methods, reason = "the callers handle the end of the task")]
    fn track(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.spawn(future);
    }

    async fn watch_recovery<T>(&self, name: &'static str, run: impl Future<Output = T>) -> T {
        let mut run = std::pin::pin!(run);
        if let Ok(outcome) = tokio::time::timeout(RECOVERED_AFTER, &mut run).await {
            return outcome;
        }
        self.recovered(name);
        run.await
    }

    fn critical_task_ended(&self, task: &'static str, panic: Option<&str>) {
        if self.is_stopping() && panic.is_none() {
            return;
        }
        tracing::error!(task, panic, "a critical background task ended; stopping the service");
        self.update(task, |status| status.is_failing = true);
        lock(&self.0.failure).get_or_insert(TaskFailed { task, panic: panic.map(str::to_owned) });
        self.0.stopping.cancel();
    }

    fn is_stopping(&self) -> bool {
        self.0.stopping.is_cancelled()
    }

    fn register(&self, name: &'static str) {
        lock(&self.0.statuses).push(TaskStatus { name, restarts: 0, is_failing: false });
    }

    fn update(&self, name: &'static str, change: impl FnOnce(&mut TaskStatus)) {
        if let Some(status) = lock(&self.0.statuses).iter_mut().find(|status| status.name == name) {
            change(status);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn background() -> Background {
        Background::new(CancellationToken::new())
    }

    #[tokio::test]
    async fn panic_of_a_critical_task_stops_the_service() {
        let background = background();
        background.spawn_critical("dispatcher", async { panic!("out of cheese") });
        background.stopping().cancelled().await;
        let failure = background.failure().unwrap();
        assert_eq!(failure.to_string(), "background task `dispatcher` panicked: out of cheese");
        assert!(background.statuses()[0].is_failing);
    }

    #[tokio::test]
    async fn early_end_of_a_critical_task_stops_the_service() {
        let background = background();
        background.spawn_serving("renewals", async {});
        background.stopping().cancelled().await;
        assert_eq!(background.failure(), Some(TaskFailed { task: "renewals", panic: None }));
    }

    #[tokio::test]
    async fn tasks_that_end_at_the_stop_have_not_failed() {
        let background = background();
        let stopping = background.stopping().clone();
        background.spawn_critical("dispatcher", async move { stopping.cancelled().await });
        background.spawn_serving("renewals", std::future::pending());
        background.stopping().cancel();
        assert!(background.close(Duration::from_secs(9)).await);
        assert_eq!(background.failure(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn restarting_task_backs_off_and_recovers() {
        let (background, starts) = (background(), Arc::new(AtomicU32::new(0)));
        let counted = starts.clone();
        background.spawn_restarting("lost-workers", move || {
            let start = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                match start {
                    0 => panic!("out of cheese"),
                    1 => {}
                    _ => std::future::pending().await,
                }
            }
        });
        let status = || background.statuses().remove(0);
        tokio::time::sleep(FIRST_WAIT * 2).await;
        assert_eq!((starts.load(Ordering::Relaxed), status().restarts), (2, 2));
        assert!(status().is_failing);
        tokio::time::sleep(FIRST_WAIT * 2 + RECOVERED_AFTER).await;
        assert_eq!((starts.load(Ordering::Relaxed), status().restarts), (3, 2));
        assert!(!status().is_failing, "it has run for a while");
        assert!(background.failure().is_none() && !background.stopping().is_cancelled());
    }
}
