//! The view of a database that operations have.
//!
//! Operations in [`shared`](crate::shared) are functions of a [`Db`] and run on both databases. On PostgreSQL,
//! a statement is awaited. On SQLite, the first poll of its future executes it, so an operation completes with
//! one poll, on the thread that owns the connection.

mod row;
pub(crate) mod sql;
mod value;

use rusqlite::params_from_iter;
use tokio_postgres::types::ToSql;

pub(crate) use row::{Row, StoredUsage, only, read_count, to_json, warnings_to_json};
pub(crate) use sql::{Sql, sql};
pub(crate) use value::{Column, Json, List, Params, Value};

use crate::StoreError;
use crate::error::Corrupt;
use crate::postgres::session::Session;
use crate::query_sql::Dialect;
use crate::sqlite::connection::Connection;

/// A database, mostly inside a transaction.
#[derive(Clone, Copy)]
pub(crate) enum Db<'a> {
    Postgres(Session<'a>),
    Sqlite(&'a Connection),
}

impl<'a> From<Session<'a>> for Db<'a> {
    fn from(session: Session<'a>) -> Self {
        Self::Postgres(session)
    }
}

impl<'a> From<&'a Connection> for Db<'a> {
    fn from(connection: &'a Connection) -> Self {
        Self::Sqlite(connection)
    }
}

impl Db<'_> {
    /// The dialect for generated statements.
    pub(crate) const fn dialect(self) -> Dialect {
        match self {
            Self::Postgres(_) => Dialect::Postgres,
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }
}

/// Runs statements. All of them are cached as prepared statements, unless noted otherwise.
impl Db<'_> {
    /// Changes rows; returns their number.
    pub(crate) async fn run(self, sql: Sql, params: Params<'_>) -> Result<u64, StoreError> {
        match self {
            Self::Postgres(db) => db.run(sql.postgres, &to_postgres(params)).await,
            Self::Sqlite(db) => db.run(sql.sqlite, params_from_iter(params)),
        }
    }

    /// Changes exactly one row; any other number is a defect.
    pub(crate) async fn run_one(self, sql: Sql, params: Params<'_>) -> Result<(), StoreError> {
        match self.run(sql, params).await? {
            1 => Ok(()),
            touched => Err(Corrupt::row_count(touched, sql.postgres).into()),
        }
    }

    /// Reads the first row, which must exist.
    pub(crate) async fn one<T>(
        self,
        sql: Sql,
        params: Params<'_>,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self {
            Self::Postgres(db) => db.one(sql.postgres, &to_postgres(params), read).await,
            Self::Sqlite(db) => db.one(sql.sqlite, params_from_iter(params), read),
        }
    }

    /// Reads the first row, if there is one.
    pub(crate) async fn optional<T>(
        self,
        sql: Sql,
        params: Params<'_>,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match self {
            Self::Postgres(db) => db.optional(sql.postgres, &to_postgres(params), read).await,
            Self::Sqlite(db) => db.optional(sql.sqlite, params_from_iter(params), read),
        }
    }

    /// Reads all rows.
    pub(crate) async fn all<C: FromIterator<T>, T>(
        self,
        sql: Sql,
        params: Params<'_>,
        read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<C, StoreError> {
        match self {
            Self::Postgres(db) => db.all(sql.postgres, &to_postgres(params), read).await,
            Self::Sqlite(db) => db.all(sql.sqlite, params_from_iter(params), read),
        }
    }

    /// Reads all rows of a generated statement in this dialect. PostgreSQL doesn't cache it, and plans it for
    /// these parameters.
    pub(crate) async fn all_once<C: FromIterator<T>, T>(
        self,
        sql: &str,
        params: Params<'_>,
        read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<C, StoreError> {
        match self {
            Self::Postgres(db) => db.all_once(sql, &to_postgres(params), read).await,
            Self::Sqlite(db) => db.all(sql, params_from_iter(params), read),
        }
    }

    /// Locks rows on PostgreSQL until the end of the transaction. SQLite has a single writer, which has no need
    /// for locks.
    pub(crate) async fn lock(self, postgres: &str, params: Params<'_>) -> Result<(), StoreError> {
        match self {
            Self::Postgres(db) => db.run(postgres, &to_postgres(params)).await.map(drop),
            Self::Sqlite(_) => Ok(()),
        }
    }
}

fn to_postgres(params: Params<'_>) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(|value| *value as &(dyn ToSql + Sync)).collect()
}
