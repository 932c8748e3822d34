//! Parameters and columns, in both databases.

use std::error::Error;
use std::fmt::Debug;

use rusqlite::types::{FromSql, ToSqlOutput};
use serde::Serialize;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSqlOwned, IsNull, ToSql, Type, to_sql_checked};

/// A value that can be a parameter in both databases.
pub(crate) trait Value: ToSql + rusqlite::ToSql + Sync {}

impl<T: ToSql + rusqlite::ToSql + Sync> Value for T {}

/// The parameters of a statement.
pub(crate) type Params<'a> = &'a [&'a dyn Value];

/// A value that can be read from a column of both databases.
pub(crate) trait Column: FromSqlOwned + FromSql {}

impl<T: FromSqlOwned + FromSql> Column for T {}

/// A value as JSON: `jsonb` on PostgreSQL, text on SQLite.
#[derive(Debug)]
pub(crate) struct Json<'a, T>(pub(crate) &'a T);

impl<T: Serialize + Debug> ToSql for Json<'_, T> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        tokio_postgres::types::Json(self.0).to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::JSON | Type::JSONB)
    }

    to_sql_checked!();
}

impl<T: Serialize> Json<'_, T> {
    /// Serializes the value to a text that doesn't borrow from it.
    pub(crate) fn to_sqlite(&self) -> rusqlite::Result<ToSqlOutput<'static>> {
        json_text(self.0)
    }
}

impl<T: Serialize> rusqlite::ToSql for Json<'_, T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.to_sqlite()
    }
}

/// A list of which one value has to match, for `= ANY($1)`: an array on PostgreSQL, a JSON array on SQLite.
#[derive(Debug)]
pub(crate) struct List<'a, T>(pub(crate) &'a [T]);

impl<T: ToSql> ToSql for List<'_, T> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.0.to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        <&[T]>::accepts(ty)
    }

    to_sql_checked!();
}

impl<T: Serialize> rusqlite::ToSql for List<'_, T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        json_text(&self.0)
    }
}

fn json_text(value: &impl Serialize) -> rusqlite::Result<ToSqlOutput<'static>> {
    match serde_json::to_string(value) {
        Ok(text) => Ok(text.into()),
        Err(error) => Err(rusqlite::Error::ToSqlConversionFailure(error.into())),
    }
}
