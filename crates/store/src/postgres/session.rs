//! A connection, and the statements that run on it.

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

/// What goes into the places of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Session<'_> {
    /// A statement that is kept prepared.
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

/// Statements in the shapes in which operations need them. All are kept prepared, unless they say otherwise.
impl Session<'_> {
    /// Changes rows; answers how many.
    pub(crate) async fn run(self, sql: &str, params: Params<'_>) -> Result<u64, StoreError> {
        self.execute(&self.prepare_cached(sql).await?, params).await
    }

    /// The first row, which must be there.
    pub(crate) async fn one<T>(
        self,
        sql: &str,
        params: Params<'_>,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.optional(sql, params, read).await?.ok_or_else(|| Corrupt::row_count(0, sql).into())
    }

    /// The first row, if there is one.
    pub(crate) async fn optional<T>(
        self,
        sql: &str,
        params: Params<'_>,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let rows = self.query(&self.prepare_cached(sql).await?, params).await?;
        rows.first().map(|row| read(&Row::Postgres(row))).transpose()
    }

    /// All rows.
    pub(crate) async fn all<C: FromIterator<T>, T>(
        self,
        sql: &str,
        params: Params<'_>,
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<C, StoreError> {
        let rows = self.query(&self.prepare_cached(sql).await?, params).await?;
        rows.iter().map(|row| read(&Row::Postgres(row))).collect()
    }

    /// All rows of a statement that is put together for one question: not kept, and planned for its values.
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
