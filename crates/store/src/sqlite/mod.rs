//! The store in one SQLite file, for a single coordinator.
//!
//! One thread writes (`writer`), a few connections read (`readers`), and a lock file keeps other processes out
//! (`lock`). An operation is a function of a connection, in the file named after it. It runs in a transaction
//! of the writer and returns after the commit. None of these functions may begin, commit or roll back, ask for
//! the time, or keep state between calls.

pub(crate) mod connection;
pub(crate) mod dispatch;
mod error;
mod lock;
mod notifications;
#[cfg(test)]
pub(crate) mod query_plan;
mod readers;
mod reaper;
mod schema;
pub(crate) mod tasks;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;

use crate::backend::{Arguments, Backend, Operation};
use crate::fairness::SharedFairShare;
use crate::observer::{Observed, name_of_maker};
use crate::ops::SchemaVersion;
use crate::sqlite::connection::Connection;
use crate::{Observer, Store, StoreError};
use readers::Readers;
use writer::{Urgency, Writer};

pub(crate) use error::was_interrupted;

/// The number of reading connections. More would only compete for the same disk and processors.
const READERS: usize = 4;
/// The number of additional connections for the queries of users, which may take long.
const USER_READERS: usize = 2;

/// A store in one file, open in this process only.
#[derive(Debug)]
pub struct SqliteStore {
    // Fields are dropped in this order: the last connection to close cleans up the file.
    readers: Readers,
    user_readers: Readers,
    writer: Writer,
    fair_share: Arc<SharedFairShare>,
    observed: Observed,
    watched: reaper::SharedLeaseClock,
}

impl SqliteStore {
    /// Opens the database at `path`, creates it if there is none, and upgrades its schema.
    ///
    /// It blocks, so it is meant for the start of a process. A database that is already open, here or in
    /// another process, is refused with [`StoreError::InUse`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = lock::prepare(path)?;
        let lock = lock::take(&file)?;
        let mut db = schema::open_for_writing(&file)?;
        schema::migrate(&mut db)?;
        let readers = |count| {
            let connections = (0..count).map(|_| schema::open_for_reading(&file).map(Connection::new));
            Ok::<_, StoreError>(Readers::new(connections.collect::<Result<_, _>>()?))
        };
        Ok(Self {
            readers: readers(READERS)?,
            user_readers: readers(USER_READERS)?,
            writer: Writer::start(Connection::new(db), lock)?,
            fair_share: Arc::default(),
            observed: Observed::default(),
            watched: reaper::SharedLeaseClock::default(),
        })
    }

    /// Reports measurements of the operations to an observer.
    #[must_use]
    pub fn observed_by(self, observer: Arc<dyn Observer>) -> Self {
        Self { observed: Observed::by(observer), ..self }
    }

    /// Runs an operation on the writer; returns once it is durable.
    async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let name = name_of_maker(&work);
        self.observed.operation(name, self.writer.run(Urgency::Normal, work)).await
    }

    /// Like [`Self::write`], ahead of all waiting operations that are not urgent.
    async fn write_urgent<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let name = name_of_maker(&work);
        self.observed.operation(name, self.writer.run(Urgency::Urgent, work)).await
    }

    /// Runs a read-only operation on one snapshot of the database, beside the writer.
    async fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let name = name_of_maker(&work);
        self.observed.operation(name, self.readers.run(work)).await
    }
}

impl Backend for SqliteStore {
    fn fair_share(&self) -> Arc<SharedFairShare> {
        Arc::clone(&self.fair_share)
    }

    async fn write<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        let name = name_of_maker(&operation);
        let work = self.writer.run(Urgency::Normal, move |db| finish(operation(db.into(), &arguments)));
        self.observed.operation(name, work).await
    }

    async fn write_statement<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        Backend::write(self, arguments, operation).await
    }

    async fn write_urgent<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        let name = name_of_maker(&operation);
        let work = self.writer.run(Urgency::Urgent, move |db| finish(operation(db.into(), &arguments)));
        self.observed.operation(name, work).await
    }

    async fn read<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        let name = name_of_maker(&operation);
        let work = self.readers.run(move |db| finish(operation(db.into(), &arguments)));
        self.observed.operation(name, work).await
    }

    async fn read_locked<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        Backend::read(self, arguments, operation).await
    }

    async fn read_for_user<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        let name = name_of_maker(&operation);
        let work = self.user_readers.run_while_awaited(move |db| finish(operation(db.into(), &arguments)));
        self.observed.operation(name, work).await
    }

    /// Every read has one snapshot.
    async fn read_snapshot_for_user<A: Arguments, T: Send + 'static>(
        &self,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        Backend::read_for_user(self, arguments, operation).await
    }

    async fn read_for_user_within<A: Arguments, T: Send + 'static>(
        &self,
        limit: Duration,
        arguments: A,
        operation: impl Operation<A, T>,
    ) -> Result<T, StoreError> {
        let name = name_of_maker(&operation);
        let work = self.user_readers.run_within(limit, move |db| finish(operation(db.into(), &arguments)));
        self.observed.operation(name, work).await
    }
}

/// Polls an operation to its end. Its statements are executed when they are polled, so one poll is enough.
pub(crate) fn finish<T>(operation: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    operation.now_or_never().unwrap_or_else(|| Err(error::Suspended.into()))
}

#[async_trait]
impl Store for SqliteStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.writer.check()?;
        self.read(|db| db.one(READ_SOMETHING, [], |_| Ok(()))).await
    }

    async fn schema(&self) -> Result<SchemaVersion, StoreError> {
        self.read(|db| schema::version(&db.raw())).await
    }

    async fn close(&self) {
        self.user_readers.close().await;
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Reads from the file, so that more than the parser is tested.
const READ_SOMETHING: &str = "SELECT count(*) FROM bootstrap";
