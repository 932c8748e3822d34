//! The feed of changes, read once for all event streams of this coordinator.
//!
//! One task queries the store when something changes, and publishes the result. A stream that lags, or that starts in the
//! past, queries the store itself until it has caught up. Nothing is read while there are no streams.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::response::sse::Event;
use mitosis_domain::ids::{GroupId, TaskId};
use mitosis_protocol::events::TaskEvent;
use mitosis_protocol::{Timestamp, Uuid};
use mitosis_store::StoreError;
use mitosis_store::ops::events::{Change, Cursor, Position};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, broadcast, watch};
use tokio::time::Instant;

use crate::app::App;
use crate::error::chain;

/// The overlap of two queries: clocks differ slightly, and transactions commit out of order.
pub(crate) const OVERLAP: Duration = Duration::from_secs(5);
/// The overlap of queries in quick succession. Once per second, there is one with the full overlap.
const SHORT_OVERLAP: Duration = Duration::from_millis(500);
/// How long to rely on notifications.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Positions in one query.
const POSITIONS: u64 = 10_000;
/// Changes that are loaded and published together.
const PAGE: usize = 1_000;
/// Published pages that are buffered for slow streams.
const PAGES: usize = 32;
/// The shortest pause between two queries.
const PAUSE: Duration = Duration::from_millis(20);
/// A pause is at least this many times as long as the query before it, to limit the load on the database.
const PAUSE_FACTOR: u32 = 4;
/// A pause is at least this long per stream, because waking each stream has a cost.
const PAUSE_PER_STREAM: Duration = Duration::from_micros(100);
/// Streams that catch up concurrently.
const CONCURRENT_CATCH_UPS: usize = 2;

/// The new changes of one query.
#[derive(Debug)]
pub(crate) struct Changes {
    /// When the query started.
    pub(crate) since: Instant,
    /// The time of the last change.
    pub(crate) newest: Timestamp,
    /// The groups of the changes.
    pub(crate) groups: HashSet<GroupId>,
    pub(crate) found: Vec<Found>,
}

/// A change, and its serialized event.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) position: Position,
    pub(crate) change: Change,
    message: OnceLock<Event>,
}

impl Found {
    /// The event, serialized once for all streams.
    pub(crate) fn message(&self, write: impl FnOnce(Position, &TaskEvent) -> Event) -> Event {
        self.message.get_or_init(|| write(self.position, &self.change.event)).clone()
    }
}

impl Changes {
    /// Returns `None` without changes.
    fn of(since: Instant, changes: Vec<(Position, Change)>) -> Option<Self> {
        let newest = changes.iter().map(|(position, _)| position.cursor.at).max()?;
        let groups = changes.iter().map(|(_, change)| change.group).collect();
        let found = changes.into_iter();
        let found = found.map(|(position, change)| Found { position, change, message: OnceLock::new() });
        Some(Self { since, newest, groups, found: found.collect() })
    }
}

/// Streams of single tasks: each receives the last change of its task.
type Topics = HashMap<Uuid, watch::Sender<Option<(Position, TaskEvent)>>>;

/// A finished query.
#[derive(Debug, Clone)]
struct Query {
    /// When it started.
    since: Instant,
    outcome: Result<(), Arc<StoreError>>,
}

/// Publishes changes to event streams.
#[derive(Debug)]
pub(crate) struct Feed {
    queries: watch::Sender<Option<Query>>,
    all: broadcast::Sender<Arc<Changes>>,
    tasks: Mutex<Topics>,
    wanted: Notify,
    catching_up: Semaphore,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self {
            queries: watch::Sender::new(None),
            all: broadcast::Sender::new(PAGES),
            tasks: Mutex::default(),
            wanted: Notify::new(),
            catching_up: Semaphore::new(CONCURRENT_CATCH_UPS),
        }
    }

    /// Subscribes to all changes. Subscribe before querying the store, so that nothing in between is missed.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Changes>> {
        let receiver = self.all.subscribe();
        self.wanted.notify_one();
        receiver
    }

    /// Waits for a query that starts after this call, and returns its start. Streams that start at the same time share it:
    /// its changes, and those of earlier queries, happened before them.
    pub(crate) async fn next_query(&self) -> Result<Instant, Arc<StoreError>> {
        let called = Instant::now();
        let mut queries = self.queries.subscribe();
        self.wanted.notify_one();
        let is_later = |query: &Option<Query>| query.as_ref().is_some_and(|query| query.since >= called);
        let query = queries.wait_for(is_later).await.expect("the sender lives as long as this does").clone();
        let query = query.expect("the predicate requires a value");
        query.outcome.map(|()| query.since)
    }

    /// Waits for the permit to query the store for a single stream.
    pub(crate) async fn catch_up_permit(&self) -> SemaphorePermit<'_> {
        self.catching_up.acquire().await.expect("it is never closed")
    }

    fn is_wanted(&self) -> bool {
        self.all.receiver_count() > 0 || !self.tasks().is_empty()
    }

    fn shortest_pause(&self) -> Duration {
        let streams = u32::try_from(self.all.receiver_count()).unwrap_or(u32::MAX);
        PAUSE_PER_STREAM.saturating_mul(streams)
    }

    fn publish(&self, changes: Changes) {
        {
            let tasks = self.tasks();
            for Found { position, change, .. } in &changes.found {
                if let Some(topic) = tasks.get(&change.event.uuid) {
                    topic.send_replace(Some((*position, change.event.clone())));
                }
            }
        }
        // There may be no stream of many tasks.
        let _ = self.all.send(Arc::new(changes));
    }

    fn tasks(&self) -> MutexGuard<'_, Topics> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Receives the changes of one task.
pub(crate) struct TaskChanges {
    app: App,
    task: Uuid,
    last: Option<watch::Receiver<Option<(Position, TaskEvent)>>>,
}

impl TaskChanges {
    /// Subscribes to the changes of a task. Query the store after that.
    pub(crate) fn subscribe(app: App, task: Uuid) -> Self {
        let last = app.feed.tasks().entry(task).or_insert_with(|| watch::Sender::new(None)).subscribe();
        app.feed.wanted.notify_one();
        Self { app, task, last: Some(last) }
    }

    /// The next change; only the last one if several were missed.
    pub(crate) async fn next(&mut self) -> (Position, TaskEvent) {
        if let Some(last) = &mut self.last
            // The sender lives as long as this does.
            && last.changed().await.is_ok()
            && let Some(change) = last.borrow_and_update().clone()
        {
            return change;
        }
        std::future::pending().await
    }
}

impl Drop for TaskChanges {
    fn drop(&mut self) {
        let mut tasks = self.app.feed.tasks();
        self.last = None;
        if tasks.get(&self.task).is_some_and(|topic| topic.receiver_count() == 0) {
            tasks.remove(&self.task);
        }
    }
}

/// Queries the store for the streams until the application stops.
pub(crate) async fn serve(app: App) {
    while app.stopping.run_until_cancelled(app.feed.wanted.notified()).await.is_some() {
        let mut reader = Reader::from(app.now());
        while app.feed.is_wanted() && !app.stopping.is_cancelled() {
            let (mut ready, mut changed) = (app.ready.subscribe(), app.changed.subscribe());
            let started = Instant::now();
            let outcome = reader.query(&app, started).await.map_err(Arc::new);
            if let Err(error) = &outcome {
                tracing::debug!(cause = chain(error), "failed to read changes; event streams wait");
            }
            app.feed.queries.send_replace(Some(Query { since: started, outcome }));
            let pause = (started.elapsed() * PAUSE_FACTOR).max(app.feed.shortest_pause());
            tokio::time::sleep(pause.clamp(PAUSE, POLL_INTERVAL)).await;
            tokio::select! {
                () = ready.notified() => {}
                () = changed.notified() => {}
                () = app.feed.wanted.notified() => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = app.stopping.cancelled() => {}
            }
        }
    }
}

/// The position of the queries.
struct Reader {
    /// The time of the last change.
    newest: Timestamp,
    /// When the last query with the full overlap started.
    full_overlap_at: Option<Instant>,
    /// Recently published changes, so that the overlap is not published twice.
    published: HashMap<TaskId, Position>,
}

impl Reader {
    fn from(now: Timestamp) -> Self {
        Self { newest: now, full_overlap_at: None, published: HashMap::new() }
    }

    async fn query(&mut self, app: &App, since: Instant) -> Result<(), StoreError> {
        let is_full = self.full_overlap_at.is_none_or(|at| since - at >= POLL_INTERVAL);
        let overlap = if is_full { OVERLAP } else { SHORT_OVERLAP };
        // A change with a time in the future must not hide current ones.
        let begin = self.newest.min(app.now()) - overlap;
        let mut after = Cursor { at: begin, task: TaskId(0) };
        loop {
            let page = app.store.positions(after, POSITIONS).await?;
            let is_last = (page.len() as u64) < POSITIONS;
            if let Some(last) = page.last() {
                after = last.cursor;
            }
            // Most of the overlap is known already and need not be loaded.
            let unknown: Vec<_> = page.into_iter().filter(|position| self.is_new(*position)).collect();
            for part in unknown.chunks(PAGE) {
                let tasks: Vec<_> = part.iter().map(|position| position.cursor.task).collect();
                let found = app.store.last_changes(&tasks).await?;
                if let Some(changes) = Changes::of(since, self.unpublished(found)) {
                    app.feed.publish(changes);
                }
            }
            if is_last {
                break;
            }
        }
        self.newest = self.newest.max(after.at);
        if is_full {
            self.full_overlap_at = Some(since);
            self.published.retain(|_, position| position.cursor.at >= begin);
        }
        Ok(())
    }

    fn is_new(&self, position: Position) -> bool {
        self.published.get(&position.cursor.task) != Some(&position)
    }

    /// The changes that are not yet published.
    fn unpublished(&mut self, found: Vec<Change>) -> Vec<(Position, Change)> {
        let new = found.into_iter().filter_map(|change| {
            let position = Position::of(change.cursor, &change.event);
            (self.published.insert(change.cursor.task, position) != Some(position))
                .then_some((position, change))
        });
        new.collect()
    }
}
