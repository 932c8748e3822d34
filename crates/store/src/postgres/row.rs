//! Running a statement, and reading its rows. A row is converted once, loudly. All statements are kept
//! prepared.

use deadpool_postgres::GenericClient;
use mitosis_domain::tags::Words;
use mitosis_protocol::{ResultWarning, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSqlOwned, Json, ToSql};

use super::error::Corrupt;
use crate::StoreError;
use crate::code::Code;

/// A connection, in a transaction or not.
pub(super) trait Db: GenericClient + Send + Sync {}

impl<T: GenericClient + Send + Sync> Db for T {}

/// What goes into the places of a statement.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Changes rows; answers how many.
pub(super) async fn run(db: &impl Db, sql: &str, params: Params<'_>) -> Result<u64, StoreError> {
    let statement = db.prepare_cached(sql).await?;
    Ok(db.execute(&statement, params).await?)
}

/// Changes exactly one row; anything else is a defect.
pub(super) async fn run_one(db: &impl Db, sql: &str, params: Params<'_>) -> Result<(), StoreError> {
    match run(db, sql, params).await? {
        1 => Ok(()),
        touched => Err(Corrupt::RowCount { touched, sql: sql.to_owned() }.into()),
    }
}

/// The first row, which must be there.
pub(super) async fn one<T>(
    db: &impl Db,
    sql: &str,
    params: Params<'_>,
    read: impl FnOnce(&Row) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    optional(db, sql, params, read)
        .await?
        .ok_or_else(|| Corrupt::RowCount { touched: 0, sql: sql.to_owned() }.into())
}

/// The first row, if there is one.
pub(super) async fn optional<T>(
    db: &impl Db,
    sql: &str,
    params: Params<'_>,
    read: impl FnOnce(&Row) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let statement = db.prepare_cached(sql).await?;
    db.query(&statement, params).await?.first().map(read).transpose()
}

/// All rows.
pub(super) async fn all<C: FromIterator<T>, T>(
    db: &impl Db,
    sql: &str,
    params: Params<'_>,
    read: impl FnMut(&Row) -> Result<T, StoreError>,
) -> Result<C, StoreError> {
    let statement = db.prepare_cached(sql).await?;
    db.query(&statement, params).await?.iter().map(read).collect()
}

/// All rows of a statement that is put together for one question: not kept, and planned for its values.
pub(super) async fn all_once<C: FromIterator<T>, T>(
    db: &impl Db,
    sql: &str,
    params: Params<'_>,
    read: impl FnMut(&Row) -> Result<T, StoreError>,
) -> Result<C, StoreError> {
    let statement = db.prepare(sql).await?;
    db.query(&statement, params).await?.iter().map(read).collect()
}

/// The only column of a row.
pub(super) fn only<T: FromSqlOwned>(row: &Row) -> Result<T, StoreError> {
    Ok(row.try_get(0)?)
}

/// Columns in the domain's types.
pub(super) trait Columns {
    /// Whatever PostgreSQL itself knows.
    fn value<T: FromSqlOwned>(&self, column: &str) -> Result<T, StoreError>;

    /// Microseconds since 1970.
    fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        Ok(Timestamp::from_unix_micros(self.value(column)?))
    }

    /// Microseconds since 1970, or NULL.
    fn optional_time(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.value::<Option<_>>(column)?.map(Timestamp::from_unix_micros))
    }

    /// The number of an enum.
    fn code<T: Code>(&self, column: &str) -> Result<T, StoreError> {
        Ok(T::from_code(self.value(column)?)?)
    }

    /// The number of an enum, or NULL.
    fn optional_code<T: Code>(&self, column: &str) -> Result<Option<T>, StoreError> {
        Ok(self.value::<Option<_>>(column)?.map(T::from_code).transpose()?)
    }

    /// JSON.
    fn json<T: DeserializeOwned + Send>(&self, column: &str) -> Result<T, StoreError>;

    /// Warnings, as [`warnings_to_json`] writes them.
    fn warnings(&self, column: &str) -> Result<Vec<ResultWarning>, StoreError> {
        match self.value::<Option<String>>(column)? {
            Some(text) => Ok(serde_json::from_str(&text).map_err(Corrupt::from)?),
            None => Ok(Vec::new()),
        }
    }

    /// A JSON array of words.
    fn words(&self, column: &str) -> Result<Words, StoreError> {
        self.json(column)
    }
}

impl Columns for Row {
    fn value<T: FromSqlOwned>(&self, column: &str) -> Result<T, StoreError> {
        Ok(self.try_get(column)?)
    }

    fn json<T: DeserializeOwned + Send>(&self, column: &str) -> Result<T, StoreError> {
        let Json(value) = self.try_get(column)?;
        Ok(value)
    }
}

/// JSON as text, for statements that take many values at once.
pub(super) fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    Ok(serde_json::to_string(value).map_err(Corrupt::from)?)
}

/// Warnings as JSON; NULL where there are none, which is nearly always.
pub(super) fn warnings_to_json(warnings: &[ResultWarning]) -> Result<Option<String>, StoreError> {
    if warnings.is_empty() { Ok(None) } else { to_json(&warnings).map(Some) }
}
