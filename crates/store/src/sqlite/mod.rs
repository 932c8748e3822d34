//! The store in one file: SQLite for a coordinator that stands alone.
//!
//! One thread writes (`writer`), a few connections read (`readers`), and a lock file keeps every
//! other process away (`lock`). An operation is a function of a connection, in the file named after
//! it; it runs in a transaction that the writer opened and is answered after the commit. None of them
//! may begin, commit or roll back by itself, ask for the time, or keep state between calls.

mod accounts;
mod artifacts;
mod attachments;
mod audit;
mod dispatch;
mod error;
mod events;
mod expected;
mod explain;
mod groups;
mod lock;
mod personal_tokens;
mod readers;
mod reaper;
mod retention;
mod rights;
mod row;
mod schema;
mod signals;
mod tasks;
mod uploads;
mod workers;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;

use crate::ops::SchemaVersion;
use crate::turns::SharedTurns;
use crate::{Store, StoreError};
use readers::Readers;
use row::Run;
use writer::{Urgency, Writer};

/// Connections that serve reads. More would only wait for the same disk and processors.
const READERS: usize = 4;
/// Further ones for questions of users, which may take long.
const QUESTIONS: usize = 2;

/// A store in one file, open in this process only.
#[derive(Debug)]
pub struct SqliteStore {
    // Closed in this order when dropped: the last connection to go tidies up the file.
    readers: Readers,
    questions: Readers,
    writer: Writer,
    turns: Arc<SharedTurns>,
    watched: reaper::Watched,
}

impl SqliteStore {
    /// Opens the database at `path`, makes it first if there is none, and brings its schema up to date.
    ///
    /// Blocks; meant for the start of a process. A database that is open already, here or in another
    /// process, is refused with [`StoreError::InUse`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = lock::prepare(path)?;
        let lock = lock::take(&file)?;
        let mut db = schema::open_for_writing(&file)?;
        schema::migrate(&mut db)?;
        let readers = |count| {
            let connections = (0..count).map(|_| schema::open_for_reading(&file));
            Ok::<_, StoreError>(Readers::new(connections.collect::<Result<_, _>>()?))
        };
        Ok(Self {
            readers: readers(READERS)?,
            questions: readers(QUESTIONS)?,
            writer: Writer::start(db, lock)?,
            turns: Arc::default(),
            watched: reaper::Watched::default(),
        })
    }

    /// Runs an operation on the writer; answers when it is durable.
    async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.writer.run(Urgency::Normal, work).await
    }

    /// Like [`Self::write`], before everything that is not urgent and waits.
    async fn write_soon<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.writer.run(Urgency::Urgent, work).await
    }

    /// Runs a lookup on one snapshot of the database, beside the writer.
    async fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.readers.run(work).await
    }

    /// Like [`Self::read`], for what a user asks: what the service itself reads does not wait for it, and it ends when
    /// the caller leaves.
    async fn answer<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.questions.run_while_awaited(work).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.writer.check()?;
        self.read(|db| db.one(READ_SOMETHING, [], |_| Ok(()))).await
    }

    async fn schema(&self) -> Result<SchemaVersion, StoreError> {
        self.read(schema::version).await
    }

    async fn close(&self) {
        self.questions.close().await;
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Comes from the file, not from the parser alone.
const READ_SOMETHING: &str = "SELECT count(*) FROM bootstrap";
