//! Running a statement, and reading its rows. A row is converted once, loudly.

use mitosis_domain::tags::Words;
use mitosis_protocol::{ResultWarning, Timestamp};
use rusqlite::types::FromSql;
use rusqlite::{Connection, Params, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::error::Corrupt;
use crate::StoreError;
use crate::code::Code;

/// Statements in the shapes in which operations need them. All are kept prepared.
pub(super) trait Run {
    /// Changes rows; answers how many.
    fn run(&self, sql: &str, params: impl Params) -> Result<usize, StoreError>;

    /// Changes exactly one row; anything else is a defect.
    fn run_one(&self, sql: &str, params: impl Params) -> Result<(), StoreError>;

    /// Adds a row; answers its id.
    fn insert(&self, sql: &str, params: impl Params) -> Result<i64, StoreError>;

    /// The first row, which must be there.
    fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError>;

    /// The first row, if there is one.
    fn optional<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError>;

    /// All rows.
    fn all<C: FromIterator<T>, T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<C, StoreError>;
}

impl Run for Connection {
    fn run(&self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        Ok(self.prepare_cached(sql)?.execute(params)?)
    }

    fn run_one(&self, sql: &str, params: impl Params) -> Result<(), StoreError> {
        match self.run(sql, params)? {
            1 => Ok(()),
            touched => Err(Corrupt::RowCount { touched, sql: sql.to_owned() }.into()),
        }
    }

    fn insert(&self, sql: &str, params: impl Params) -> Result<i64, StoreError> {
        self.run_one(sql, params)?;
        Ok(self.last_insert_rowid())
    }

    fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.optional(sql, params, read)?
            .ok_or_else(|| Corrupt::RowCount { touched: 0, sql: sql.to_owned() }.into())
    }

    fn optional<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.prepare_cached(sql)?.query(params)?.next()?.map(read).transpose()
    }

    fn all<C: FromIterator<T>, T>(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<C, StoreError> {
        let mut statement = self.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        std::iter::from_fn(|| match rows.next() {
            Ok(row) => row.map(&mut read),
            Err(error) => Some(Err(error.into())),
        })
        .collect()
    }
}

/// Columns in the domain's types.
pub(super) trait Columns {
    /// Whatever SQLite itself knows.
    fn value<T: FromSql>(&self, column: &str) -> Result<T, StoreError>;

    /// Microseconds since 1970.
    fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        Ok(Timestamp::from_unix_micros(self.value(column)?))
    }

    /// Sixteen bytes.
    fn uuid(&self, column: &str) -> Result<Uuid, StoreError> {
        Ok(Uuid::from_bytes(self.value(column)?))
    }

    /// Sixteen bytes, or NULL.
    fn optional_uuid(&self, column: &str) -> Result<Option<Uuid>, StoreError> {
        Ok(self.value::<Option<_>>(column)?.map(Uuid::from_bytes))
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

    /// JSON text.
    fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, StoreError>;

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

impl Columns for Row<'_> {
    fn value<T: FromSql>(&self, column: &str) -> Result<T, StoreError> {
        Ok(self.get(column)?)
    }

    fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        let text = self.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?;
        Ok(serde_json::from_str(text).map_err(Corrupt::from)?)
    }
}

/// JSON text, as [`Columns::json`] reads it.
pub(super) fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    Ok(serde_json::to_string(value).map_err(Corrupt::from)?)
}

/// The result of a `count(*)`.
pub(super) fn read_count(row: &Row<'_>) -> Result<u64, StoreError> {
    Ok(row.get::<_, i64>(0)?.unsigned_abs())
}

/// Warnings as JSON; NULL where there are none, which is nearly always.
pub(super) fn warnings_to_json(warnings: &[ResultWarning]) -> Result<Option<String>, StoreError> {
    if warnings.is_empty() { Ok(None) } else { to_json(&warnings).map(Some) }
}
