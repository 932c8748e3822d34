//! The single thread that writes.
//!
//! It takes the waiting operations, runs each in its own savepoint of one transaction, commits once, and then
//! replies. So a burst of operations costs one disk flush, a failing operation doesn't affect others, and
//! nothing is acknowledged before it is durable.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::error::{NotWritten, Panicked};
use super::lock::Lock;
use crate::StoreError;
use crate::sqlite::connection::Connection;
use mitosis_domain::failpoints;

/// The maximum number of operations in one transaction.
const MAX_BATCH: usize = 512;
/// A transaction takes no further operation after this time, since the first one waits for the commit.
const MAX_BATCH_AGE: Duration = Duration::from_millis(20);

/// The order of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Ahead of all waiting normal operations. A late lease renewal would make a worker count as lost.
    Urgent,
    /// In the order of arrival.
    Normal,
}

/// The handle of the writing thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread, which owns the connection and the lock until it ends.
    pub(super) fn start(db: Connection, lock: Lock) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::default());
        let served = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || {
                // Dropped in reverse order: the connection, the lock, and last the queue is closed.
                let queue = CloseOnDrop(served);
                let _lock = lock;
                let db = db;
                serve(&db, &queue.0);
            })
            .map_err(|source| StoreError::Unavailable(source.into()))?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Passes `work` to the thread and waits until it is durable. The work is done even if the caller stops
    /// waiting.
    pub(super) async fn run<T, W>(&self, urgency: Urgency, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.queue.push(urgency, Box::new(Operation { work: Some(work), value: None, reply }))?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Whether the thread is running.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.queue.state().closing { Err(StoreError::Closed) } else { Ok(()) }
    }

    /// Runs the waiting operations, then ends the thread.
    pub(super) async fn close(&self) {
        if let Some(thread) = self.close_queue() {
            let ended = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(ended, Ok(Ok(()))) {
                tracing::error!("the writing thread of the database panicked");
            }
        }
    }

    fn close_queue(&self) -> Option<JoinHandle<()>> {
        self.queue.close_queue();
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Writer {
    /// Waits for the thread, so that the next process to open the database finds the lock free.
    fn drop(&mut self) {
        if let Some(thread) = self.close_queue()
            && thread.join().is_err()
        {
            tracing::error!("the writing thread of the database panicked");
        }
    }
}

/// An operation and its waiting caller.
trait Job: Send {
    /// Runs the operation, and keeps its outcome.
    fn run(&mut self, db: &Connection) -> Result<(), StoreError>;

    /// Sends the outcome to the caller, or the error of the commit.
    fn reply(self: Box<Self>, durable: Result<(), StoreError>);
}

struct Operation<T, W> {
    work: Option<W>,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, W> Job for Operation<T, W>
where
    T: Send,
    W: FnOnce(&Connection) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, db: &Connection) -> Result<(), StoreError> {
        let work = self.work.take().expect("an operation runs once");
        self.value = Some(work(db)?);
        Ok(())
    }

    fn reply(self: Box<Self>, durable: Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        let outcome = durable.map(|()| value.expect("a successful operation has a value"));
        // The caller may have stopped waiting.
        drop(reply.send(outcome));
    }
}

/// The operations that wait for the thread.
#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    urgent: VecDeque<Box<dyn Job>>,
    normal: VecDeque<Box<dyn Job>>,
    closing: bool,
}

impl QueueState {
    fn pop(&mut self) -> Option<Box<dyn Job>> {
        self.urgent.pop_front().or_else(|| self.normal.pop_front())
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, urgency: Urgency, job: Box<dyn Job>) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.closing {
            return Err(StoreError::Closed);
        }
        match urgency {
            Urgency::Urgent => state.urgent.push_back(job),
            Urgency::Normal => state.normal.push_back(job),
        }
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The next job, waiting for one; `None` once the queue is closed and empty.
    fn wait(&self) -> Option<Box<dyn Job>> {
        let mut state = self.state();
        loop {
            if let Some(job) = state.pop() {
                return Some(job);
            }
            if state.closing {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn try_next(&self) -> Option<Box<dyn Job>> {
        self.state().pop()
    }

    fn close_queue(&self) {
        self.state().closing = true;
        self.changed.notify_one();
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        let waiting = state.urgent.len() + state.normal.len();
        f.debug_struct("Queue").field("waiting", &waiting).field("closing", &state.closing).finish()
    }
}

/// Closes the queue if the thread panics, so that no caller waits forever.
struct CloseOnDrop(Arc<Queue>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close_queue();
        while self.0.try_next().is_some() {}
    }
}

fn serve(db: &Connection, queue: &Queue) {
    while let Some(first) = queue.wait() {
        let Batch { done, outcome } = run_batch(db, first, queue);
        if let Err(lost) = &outcome {
            let error: &dyn std::error::Error = lost;
            tracing::error!(error, operations = done.len(), "a transaction could not be committed");
        }
        for job in done {
            job.reply(outcome.clone().map_err(StoreError::from));
        }
    }
}

/// The successful operations of a transaction, and its outcome.
struct Batch {
    done: Vec<Box<dyn Job>>,
    outcome: Result<(), NotWritten>,
}

fn run_batch(db: &Connection, first: Box<dyn Job>, queue: &Queue) -> Batch {
    if let Err(error) = db.raw().execute_batch("BEGIN IMMEDIATE") {
        return Batch { done: vec![first], outcome: Err(NotWritten::Commit(Arc::new(error))) };
    }
    let begun = Instant::now();
    let mut done = Vec::new();
    let mut next = Some(first);
    while let Some(mut job) = next {
        let mut disk_is_full = false;
        match run_in_savepoint(db, job.as_mut()) {
            Ok(()) => done.push(job),
            // It was rolled back, so its caller need not wait for the commit.
            Err(error) => {
                disk_is_full = matches!(error, StoreError::Full(_));
                job.reply(Err(error));
            }
        }
        if db.raw().is_autocommit() {
            return Batch { done, outcome: Err(NotWritten::RolledBack { full: disk_is_full }) };
        }
        let full = done.len() >= MAX_BATCH || begun.elapsed() >= MAX_BATCH_AGE;
        next = if full { None } else { queue.try_next() };
    }
    failpoints::point("sqlite.commit:before");
    let committed = db.raw().execute_batch("COMMIT");
    let outcome = committed.map_err(|error| {
        roll_back(db);
        NotWritten::Commit(Arc::new(error))
    });
    failpoints::point("sqlite.commit:after");
    Batch { done, outcome }
}

/// Runs one operation in a savepoint, so that its failure affects no other one. If the savepoint can't be
/// rolled back, the whole transaction is.
fn run_in_savepoint(db: &Connection, job: &mut dyn Job) -> Result<(), StoreError> {
    execute(db, "SAVEPOINT operation")?;
    failpoints::point("sqlite.savepoint:before");
    let outcome = catch_unwind(AssertUnwindSafe(|| job.run(db)))
        .unwrap_or_else(|panic| Err(Panicked(panic_text(panic.as_ref())).into()));
    failpoints::point("sqlite.savepoint:after");
    let ended = match &outcome {
        Ok(()) => execute(db, "RELEASE operation"),
        // The error rolled back the whole transaction, including the savepoint.
        Err(_) if db.raw().is_autocommit() => Ok(()),
        Err(_) => execute(db, "ROLLBACK TO operation").and_then(|()| execute(db, "RELEASE operation")),
    };
    if ended.is_err() {
        roll_back(db);
    }
    outcome.and(ended)
}

fn roll_back(db: &Connection) {
    // The rollback fails if the transaction has already been rolled back.
    drop(db.raw().execute_batch("ROLLBACK"));
}

fn execute(db: &Connection, sql: &str) -> Result<(), StoreError> {
    db.raw().prepare_cached(sql)?.execute([])?;
    Ok(())
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{lock, schema};
    use super::*;

    /// A writer of its own database, with a constraint that is checked at the commit only.
    fn writer(folder: &Path) -> Writer {
        let file = lock::prepare(&folder.join("state.db")).unwrap();
        let lock = lock::take(&file).unwrap();
        let db = Connection::new(schema::open_for_writing(&file).unwrap());
        let child = "parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED";
        db.raw()
            .execute_batch(&format!(
                "CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child ({child})"
            ))
            .unwrap();
        Writer::start(db, lock).unwrap()
    }

    async fn execute(writer: &Writer, sql: &'static str) -> Result<usize, StoreError> {
        writer.run(Urgency::Normal, move |db| Ok(db.raw().execute(sql, [])?)).await
    }

    #[tokio::test]
    async fn change_whose_commit_fails_is_not_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path());
        let failed = execute(&writer, "INSERT INTO child VALUES (7)").await;
        assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
        assert_eq!(execute(&writer, "DELETE FROM child").await.unwrap(), 0, "nothing was written");
        assert_eq!(execute(&writer, "INSERT INTO parent VALUES (7)").await.unwrap(), 1);
    }

    #[tokio::test]
    async fn panic_of_an_operation_fails_it_alone() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path());
        let panics = writer.run(Urgency::Normal, |db| {
            db.raw().execute("INSERT INTO parent VALUES (1)", [])?;
            assert!(db.raw().is_autocommit(), "an operation is part of a transaction");
            Ok(())
        });
        let outcome = panics.await;
        assert!(matches!(outcome, Err(StoreError::Unexpected(_))), "{outcome:?}");
        assert_eq!(execute(&writer, "INSERT INTO parent VALUES (1)").await.unwrap(), 1, "it was rolled back");
    }
}
