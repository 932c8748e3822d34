//! A connection, and how to run statements on it.

use deadpool_postgres::{Client, Transaction};
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use crate::StoreError;
use crate::db::Row;
use crate::error::Corrupt;

/// A connection, in a transaction or not.
#[derive(Clone, Copy)]
pub(crate) enum Session<'a> {
    Client(&'a Client),
    Transaction(&'a Transaction<'a>),
}

/// The parameters of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Session<'_> {
    /// Returns a cached prepared statement.
    pub(super) async fn prepare_cached(self, sql: &str) -> Result<Statement, StoreError> {
        Ok(match self {
            Self::Client(client) => client.prepare_cached(sql).await?,
            Self::Transaction(transaction) => transaction.prepare_cached(sql).await?,
        })
    }

    async fn prepare(self, sql: &str) -> Result<Statement, StoreError> {
        Ok(match self {
            Self::Client(client) => client.prepare(sql).await?,
            Self::Transaction(transaction) => transaction.prepare(sql).await?,
        })
    }

    pub(super) async fn execute(self, sql: &Statement, params: Params<'_>) -> Result<u64, StoreError> {
        Ok(match self {
            Self::Client(client) => client.execute(sql, params).await?,
            Self::Transaction(transaction) => transaction.execute(sql, params).await?,
        })
    }

    pub(super) async fn query(
        self,
        sql: &Statement,
        params: Params<'_>,
    ) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        Ok(match self {
            Self::Client(client) => client.query(sql, params).await?,
            Self::Transaction(transaction) => transaction.query(sql, params).await?,
        })
    }
}

/// Runs statements. All of them are cached as prepared statements, unless noted otherwise.
impl Session<'_> {
    /// Changes rows; returns their number.
    pub(crate) async fn run(self, sql: &str, params: Params<'_>) -> Result<u64, StoreError> {
        self.execute(&self.prepare_cached(sql).await?, params).await
    }

    /// Reads the first row, which must exist.
    pub(crate) async fn one<T>(
        self,
        sql: &str,
        params: Params<'_>,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.optional(sql, params, read).await?.ok_or_else(|| Corrupt::row_count(0, sql).into())
    }

    /// Reads the first row, if there is one.
    pub(crate) async fn optional<T>(
        self,
        sql: &str,
        params: Params<'_>,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let rows = self.query(&self.prepare_cached(sql).await?, params).await?;
        rows.first().map(|row| read(&Row::Postgres(row))).transpose()
    }

    /// Reads all rows.
    pub(crate) async fn all<C: FromIterator<T>, T>(
        self,
        sql: &str,
        params: Params<'_>,
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<C, StoreError> {
        let rows = self.query(&self.prepare_cached(sql).await?, params).await?;
        rows.iter().map(|row| read(&Row::Postgres(row))).collect()
    }

    /// Reads all rows of a generated statement, which is not cached and is planned for these parameters.
    pub(crate) async fn all_once<C: FromIterator<T>, T>(
        self,
        sql: &str,
        params: Params<'_>,
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<C, StoreError> {
        let rows = self.query(&self.prepare(sql).await?, params).await?;
        rows.iter().map(|row| read(&Row::Postgres(row))).collect()
    }
}
