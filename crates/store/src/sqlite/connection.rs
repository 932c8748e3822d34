//! A connection, and how to run statements on it.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rusqlite::Params;

use crate::StoreError;
use crate::db::Row;
use crate::error::Corrupt;

/// A connection that futures may hold, and that one thread uses at a time.
///
/// The lock is never contended: the thread that runs an operation owns the connection, and the operation runs
/// its statements one after the other.
#[derive(Debug)]
pub(crate) struct Connection(Mutex<rusqlite::Connection>);

impl Connection {
    pub(super) fn new(connection: rusqlite::Connection) -> Self {
        Self(Mutex::new(connection))
    }

    /// Locks the connection for one statement.
    pub(super) fn raw(&self) -> MutexGuard<'_, rusqlite::Connection> {
        match self.0.try_lock() {
            Ok(connection) => connection,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => panic!("a statement runs while the rows of another are read"),
        }
    }
}

/// Runs statements. All of them are cached as prepared statements.
impl Connection {
    /// Changes rows; returns their number.
    pub(crate) fn run(&self, sql: &str, params: impl Params) -> Result<u64, StoreError> {
        Ok(self.raw().prepare_cached(sql)?.execute(params)? as u64)
    }

    /// Changes exactly one row; any other number is a defect.
    pub(crate) fn run_one(&self, sql: &str, params: impl Params) -> Result<(), StoreError> {
        match self.run(sql, params)? {
            1 => Ok(()),
            touched => Err(Corrupt::row_count(touched, sql).into()),
        }
    }

    /// Inserts a row; returns its id.
    pub(crate) fn insert(&self, sql: &str, params: impl Params) -> Result<i64, StoreError> {
        self.run_one(sql, params)?;
        Ok(self.raw().last_insert_rowid())
    }

    /// Reads the first row, which must exist.
    pub(crate) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.optional(sql, params, read)?.ok_or_else(|| Corrupt::row_count(0, sql).into())
    }

    /// Reads the first row, if there is one.
    pub(crate) fn optional<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let db = self.raw();
        let mut statement = db.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        rows.next()?.map(|row| read(&Row::Sqlite(row))).transpose()
    }

    /// Reads all rows.
    pub(crate) fn all<C: FromIterator<T>, T>(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<C, StoreError> {
        let db = self.raw();
        let mut statement = db.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        std::iter::from_fn(|| match rows.next() {
            Ok(row) => row.map(|row| read(&Row::Sqlite(row))),
            Err(error) => Some(Err(error.into())),
        })
        .collect()
    }
}
