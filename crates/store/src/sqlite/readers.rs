//! A few read-only connections, each used on a thread that may block.
//!
//! A reader sees the last commit before it began, and never waits for the writer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::InterruptHandle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::StoreError;
use crate::sqlite::connection::Connection;

/// The interval between interrupts of a statement beyond its time limit.
const INTERRUPT_INTERVAL: Duration = Duration::from_millis(50);

/// The idle connections, and as many permits.
#[derive(Debug)]
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    total: u32,
}

impl Readers {
    /// Takes ownership of open connections.
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(connections.len())),
            total: u32::try_from(connections.len()).expect("there are only a few"),
            idle: Arc::new(Mutex::new(connections)),
        }
    }

    /// Runs `work` on one snapshot of the database.
    pub(super) async fn run<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let lent = PooledConnection::new(Arc::clone(&self.idle), permit);
        let outcome = tokio::task::spawn_blocking(move || {
            let snapshot = Snapshot::of(lent.connection())?;
            work(snapshot.0)
        });
        outcome.await.map_err(|panicked| StoreError::Unexpected(panicked.into()))?
    }

    /// Like [`Self::run`], for a caller that may leave: then the work is interrupted.
    pub(super) async fn run_while_awaited<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let running = Interruptible::default();
        let waits = InterruptOnDrop(running.clone());
        let outcome = self.run(move |db| running.during(db, work)).await;
        drop(waits);
        outcome
    }

    /// Like [`Self::run_while_awaited`]; a statement that still runs after `limit` fails as interrupted.
    pub(super) async fn run_within<T, W>(&self, limit: Duration, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let running = Interruptible::default();
        let waits = InterruptOnDrop(running.clone());
        let outcome = self.run(move |db| {
            mitosis_background::spawn("interrupt", interrupt(running.clone(), limit));
            running.during(db, work)
        });
        let outcome = outcome.await;
        drop(waits);
        outcome
    }

    /// InterruptOnDrop for running work, then closes the connections.
    pub(super) async fn close(&self) {
        // An error means that the readers are already closed.
        if let Ok(_all) = self.permits.acquire_many(self.total).await {
            self.permits.close();
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}

/// A handle of work that can be interrupted while it runs.
#[derive(Clone, Default)]
struct Interruptible(Arc<Mutex<Stage>>);

#[derive(Default)]
enum Stage {
    #[default]
    Before,
    Running(InterruptHandle),
    Ended,
}

impl Interruptible {
    fn during<T>(
        &self,
        db: &Connection,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        {
            let mut stage = self.stage();
            if matches!(*stage, Stage::Ended) {
                return Err(StoreError::Unavailable("the caller left before the query began".into()));
            }
            *stage = Stage::Running(db.raw().get_interrupt_handle());
        }
        let _end = EndOnDrop(self);
        work(db)
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// EndOnDrop the work when dropped, also after a panic, so that later uses of the connection are not interrupted.
struct EndOnDrop<'a>(&'a Interruptible);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        *self.0.stage() = Stage::Ended;
    }
}

/// Held by the caller that waits for the work. Dropping it interrupts the work.
struct InterruptOnDrop(Interruptible);

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        let mut stage = self.0.stage();
        match *stage {
            Stage::Before => *stage = Stage::Ended,
            Stage::Running(_) => {
                let interrupt = interrupt(self.0.clone(), Duration::ZERO);
                mitosis_background::spawn_if_in_runtime("interrupt", interrupt);
            }
            Stage::Ended => {}
        }
    }
}

/// Interrupts repeatedly until the work ends, since an interrupt between two statements has no effect.
async fn interrupt(running: Interruptible, after: Duration) {
    tokio::time::sleep(after).await;
    loop {
        match &*running.stage() {
            Stage::Running(handle) => handle.interrupt(),
            Stage::Before | Stage::Ended => return,
        }
        tokio::time::sleep(INTERRUPT_INTERVAL).await;
    }
}

/// A snapshot of the database for several statements. It writes nothing, so there is nothing to commit.
struct Snapshot<'a>(&'a Connection);

impl<'a> Snapshot<'a> {
    fn of(db: &'a Connection) -> Result<Self, StoreError> {
        db.raw().execute_batch("BEGIN")?;
        Ok(Self(db))
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // An interrupt may have ended the transaction.
        drop(self.0.raw().execute_batch("ROLLBACK"));
    }
}

/// A connection in use, which returns to the pool when dropped, also after a panic.
struct PooledConnection {
    db: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    _permit: OwnedSemaphorePermit,
}

impl PooledConnection {
    fn new(idle: Arc<Mutex<Vec<Connection>>>, permit: OwnedSemaphorePermit) -> Self {
        let db = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self { db, idle, _permit: permit }
    }

    fn connection(&self) -> &Connection {
        self.db.as_ref().expect("every permit has an idle connection")
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if let Some(db) = self.db.take() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::was_interrupted;
    use super::*;

    const ENDLESS: &str =
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";

    #[tokio::test]
    async fn endless_statement_is_interrupted_and_the_next_is_not() {
        let readers = Readers::new(vec![Connection::new(rusqlite::Connection::open_in_memory().unwrap())]);
        let count = |sql: &'static str| {
            readers.run_within(Duration::from_millis(20), move |db| {
                // The first statement ends before there is anything to interrupt.
                db.raw().query_row("SELECT 1", [], |_| Ok(()))?;
                std::thread::sleep(Duration::from_millis(30));
                Ok(db.raw().query_row(sql, [], |row| row.get::<_, i64>(0))?)
            })
        };
        assert!(was_interrupted(&count(ENDLESS).await.unwrap_err()));
        assert_eq!(count("SELECT 7").await.unwrap(), 7);
        tokio::time::sleep(2 * INTERRUPT_INTERVAL).await;
        assert_eq!(count("SELECT 8").await.unwrap(), 8);
    }

    #[tokio::test]
    async fn query_is_interrupted_when_its_caller_leaves() {
        let readers = Readers::new(vec![Connection::new(rusqlite::Connection::open_in_memory().unwrap())]);
        let (begun, begins) = tokio::sync::oneshot::channel();
        let ask = |sql: &'static str, begun: Option<tokio::sync::oneshot::Sender<()>>| {
            readers.run_while_awaited(move |db| {
                begun.map(|begun| begun.send(()));
                Ok(db.raw().query_row(sql, [], |row| row.get::<_, i64>(0))?)
            })
        };
        tokio::select! {
            answer = ask(ENDLESS, Some(begun)) => panic!("{answer:?}"),
            begun = begins => begun.unwrap(),
        }
        let next = tokio::time::timeout(Duration::from_secs(5), ask("SELECT 7", None));
        assert_eq!(next.await.expect("the connection is free").unwrap(), 7);
    }
}
