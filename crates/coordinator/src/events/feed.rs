//! What changed, read once for all streams of this coordinator.
//!
//! One task looks at the store when something happens, and hands out what it finds. A stream that falls behind, or
//! that begins in the past, looks by itself until it has caught up. Nothing is read while there are no streams.

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

/// How much earlier than the last change to look: clocks differ a little, and commits overtake.
pub(crate) const OVERLAP: Duration = Duration::from_secs(5);
/// The same for looks that follow one another closely. Each second there is one with the whole overlap.
const SHORT_OVERLAP: Duration = Duration::from_millis(500);
/// How long to rely on being woken.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Positions of one look at the store.
const POSITIONS: u64 = 10_000;
/// Changes that are fetched and published at once.
const PAGE: usize = 1_000;
/// Pages that are kept for streams that are slow.
const PAGES: usize = 32;
/// The shortest time between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// A pause is at least so many times as long as the look before, so that looking takes a small share of the database.
const SHARE: u32 = 4;
/// A pause is at least this long for each stream, since waking it costs something whatever has changed.
const PAUSE_PER_STREAM: Duration = Duration::from_micros(100);
/// Streams that catch up at once.
const CATCHING_UP: usize = 2;

/// What one look found that was not known before.
#[derive(Debug)]
pub(crate) struct Changes {
    /// When the look began.
    pub(crate) since: Instant,
    /// The time of the last change.
    pub(crate) newest: Timestamp,
    /// Groups in which something changed.
    pub(crate) groups: HashSet<GroupId>,
    pub(crate) found: Vec<Found>,
}

/// A change, and the message that streams send for it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) position: Position,
    pub(crate) change: Change,
    message: OnceLock<Event>,
}

impl Found {
    /// The message, written once for all streams.
    pub(crate) fn message(&self, write: impl FnOnce(Position, &TaskEvent) -> Event) -> Event {
        self.message.get_or_init(|| write(self.position, &self.change.event)).clone()
    }
}

impl Changes {
    /// None without any change.
    fn of(since: Instant, changes: Vec<(Position, Change)>) -> Option<Self> {
        let newest = changes.iter().map(|(position, _)| position.cursor.at).max()?;
        let groups = changes.iter().map(|(_, change)| change.group).collect();
        let found = changes.into_iter();
        let found = found.map(|(position, change)| Found { position, change, message: OnceLock::new() });
        Some(Self { since, newest, groups, found: found.collect() })
    }
}

/// Streams of single tasks: each hears the last change of its own.
type Topics = HashMap<Uuid, watch::Sender<Option<(Position, TaskEvent)>>>;

/// A look at the store that has ended.
#[derive(Debug, Clone)]
struct Look {
    /// When it began.
    since: Instant,
    outcome: Result<(), Arc<StoreError>>,
}

/// Hands out what changed.
#[derive(Debug)]
pub(crate) struct Feed {
    looks: watch::Sender<Option<Look>>,
    all: broadcast::Sender<Arc<Changes>>,
    tasks: Mutex<Topics>,
    wanted: Notify,
    catching_up: Semaphore,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self {
            looks: watch::Sender::new(None),
            all: broadcast::Sender::new(PAGES),
            tasks: Mutex::default(),
            wanted: Notify::new(),
            catching_up: Semaphore::new(CATCHING_UP),
        }
    }

    /// Begins to listen to all changes. Listen first, then look at the store: nothing in between is missed.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Changes>> {
        let receiver = self.all.subscribe();
        self.wanted.notify_one();
        receiver
    }

    /// Waits for a look that begins after this call, and answers when it began. Streams that begin share it: what it
    /// and the looks before it found was there before them.
    pub(crate) async fn look(&self) -> Result<Instant, Arc<StoreError>> {
        let called = Instant::now();
        let mut looks = self.looks.subscribe();
        self.wanted.notify_one();
        let is_later = |look: &Option<Look>| look.as_ref().is_some_and(|look| look.since >= called);
        let look = looks.wait_for(is_later).await.expect("the sender lives as long as this does").clone();
        let look = look.expect("it was waited for");
        look.outcome.map(|()| look.since)
    }

    /// Waits for the right to look at the store for one stream alone.
    pub(crate) async fn turn_to_catch_up(&self) -> SemaphorePermit<'_> {
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

/// Hears of the changes of one task.
pub(crate) struct TaskChanges {
    app: App,
    task: Uuid,
    last: Option<watch::Receiver<Option<(Position, TaskEvent)>>>,
}

impl TaskChanges {
    /// Begins to listen; look at the store afterwards.
    pub(crate) fn listen(app: App, task: Uuid) -> Self {
        let last = app.feed.tasks().entry(task).or_insert_with(|| watch::Sender::new(None)).subscribe();
        app.feed.wanted.notify_one();
        Self { app, task, last: Some(last) }
    }

    /// The next change; only the last one where several were missed.
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

/// Reads for the streams until the application stops.
pub(crate) async fn serve(app: App) {
    while app.stopping.run_until_cancelled(app.feed.wanted.notified()).await.is_some() {
        let mut reader = Reader::from(app.now());
        while app.feed.is_wanted() && !app.stopping.is_cancelled() {
            let (mut ready, mut changed) = (app.ready.subscribe(), app.changed.subscribe());
            let begun = Instant::now();
            let outcome = reader.look(&app, begun).await.map_err(Arc::new);
            if let Err(error) = &outcome {
                tracing::debug!(cause = chain(error), "failed to read changes; event streams wait");
            }
            app.feed.looks.send_replace(Some(Look { since: begun, outcome }));
            let pause = (begun.elapsed() * SHARE).max(app.feed.shortest_pause());
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

/// How far the looks have come.
struct Reader {
    /// The time of the last change.
    newest: Timestamp,
    /// When there was a look with the whole overlap.
    looked_back: Option<Instant>,
    /// What was told lately, so that the overlap is not told twice.
    told: HashMap<TaskId, Position>,
}

impl Reader {
    fn from(now: Timestamp) -> Self {
        Self { newest: now, looked_back: None, told: HashMap::new() }
    }

    async fn look(&mut self, app: &App, since: Instant) -> Result<(), StoreError> {
        let looks_back = self.looked_back.is_none_or(|at| since - at >= POLL_INTERVAL);
        let overlap = if looks_back { OVERLAP } else { SHORT_OVERLAP };
        // A change that bears a time to come does not hide those of now.
        let begin = self.newest.min(app.now()) - overlap;
        let mut after = Cursor { at: begin, task: TaskId(0) };
        loop {
            let page = app.store.positions(after, POSITIONS).await?;
            let is_last = (page.len() as u64) < POSITIONS;
            if let Some(last) = page.last() {
                after = last.cursor;
            }
            // Nearly all of the overlap is known already, and is not fetched.
            let unknown: Vec<_> = page.into_iter().filter(|position| self.is_new(*position)).collect();
            for part in unknown.chunks(PAGE) {
                let tasks: Vec<_> = part.iter().map(|position| position.cursor.task).collect();
                let found = app.store.last_changes(&tasks).await?;
                if let Some(changes) = Changes::of(since, self.news(found)) {
                    app.feed.publish(changes);
                }
            }
            if is_last {
                break;
            }
        }
        self.newest = self.newest.max(after.at);
        if looks_back {
            self.looked_back = Some(since);
            self.told.retain(|_, position| position.cursor.at >= begin);
        }
        Ok(())
    }

    fn is_new(&self, position: Position) -> bool {
        self.told.get(&position.cursor.task) != Some(&position)
    }

    /// Those that are not known yet.
    fn news(&mut self, found: Vec<Change>) -> Vec<(Position, Change)> {
        let news = found.into_iter().filter_map(|change| {
            let position = Position::of(change.cursor, &change.event);
            (self.told.insert(change.cursor.task, position) != Some(position)).then_some((position, change))
        });
        news.collect()
    }
}
