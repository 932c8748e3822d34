//! A few connections that only read, each on a thread that may block.
//!
//! A reader sees the last commit before it began and never waits for the writer.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Fault;

/// The connections that are not in use, and as many permits.
#[derive(Debug)]
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    total: u32,
}

impl Readers {
    /// Takes over open connections.
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(connections.len())),
            total: u32::try_from(connections.len()).expect("a handful"),
            idle: Arc::new(Mutex::new(connections)),
        }
    }

    /// Runs `work` on one snapshot of the database.
    pub(super) async fn run<T, W>(&self, work: W) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Fault::Closed)?;
        let lent = Lent::new(Arc::clone(&self.idle), permit);
        let outcome = tokio::task::spawn_blocking(move || {
            let snapshot = lent.connection().unchecked_transaction()?;
            work(&snapshot)
        });
        outcome.await.map_err(|panicked| Fault::Unexpected(panicked.into()))?
    }

    /// Waits for what is under way, then closes the connections.
    pub(super) async fn close(&self) {
        // An error means that it was done before.
        if let Ok(_all) = self.permits.acquire_many(self.total).await {
            self.permits.close();
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}

/// A connection in use; it goes back when dropped, also by a panic.
struct Lent {
    db: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    _permit: OwnedSemaphorePermit,
}

impl Lent {
    fn new(idle: Arc<Mutex<Vec<Connection>>>, permit: OwnedSemaphorePermit) -> Self {
        let db = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self { db, idle, _permit: permit }
    }

    fn connection(&self) -> &Connection {
        self.db.as_ref().expect("a permit stands for an idle connection")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(db) = self.db.take() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
        }
    }
}
