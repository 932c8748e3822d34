//! Conversion of rows. A value that can't be converted is an error, never a default.

use std::error::Error;

use mitosis_domain::tags::TagSet;
use mitosis_domain::timeout::Timeout;
use mitosis_protocol::usage::AttemptUsage;
use mitosis_protocol::{ResultWarning, TaskResult, Timestamp, WaitStatus};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::types::{FromSql, Type, accepts};

use super::Column;
use crate::StoreError;
use crate::enum_codes::Code;
use crate::error::Corrupt;

/// A row of either database, with its columns in the domain's types.
#[derive(Clone, Copy)]
pub(crate) enum Row<'a> {
    Postgres(&'a tokio_postgres::Row),
    Sqlite(&'a rusqlite::Row<'a>),
}

impl Row<'_> {
    /// A value whose type both databases know.
    pub(crate) fn value<T: Column>(&self, column: &str) -> Result<T, StoreError> {
        match self {
            Self::Postgres(row) => Ok(row.try_get(column)?),
            Self::Sqlite(row) => Ok(row.get(column)?),
        }
    }

    /// The value of the column at this index, counted from 0.
    pub(crate) fn get<T: Column>(&self, place: usize) -> Result<T, StoreError> {
        match self {
            Self::Postgres(row) => Ok(row.try_get(place)?),
            Self::Sqlite(row) => Ok(row.get(place)?),
        }
    }

    /// A time, stored as microseconds since 1970.
    pub(crate) fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        Ok(Timestamp::from_unix_micros(self.value(column)?))
    }

    /// A time, stored as microseconds since 1970, or NULL.
    pub(crate) fn optional_time(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.value::<Option<_>>(column)?.map(Timestamp::from_unix_micros))
    }

    /// An enum, stored as a number.
    pub(crate) fn code<T: Code>(&self, column: &str) -> Result<T, StoreError> {
        Ok(T::from_code(self.value(column)?)?)
    }

    /// An enum, stored as a number, or NULL.
    pub(crate) fn optional_code<T: Code>(&self, column: &str) -> Result<Option<T>, StoreError> {
        Ok(self.value::<Option<_>>(column)?.map(T::from_code).transpose()?)
    }

    /// A JSON value, written with [`Json`](super::Json) or [`to_json`].
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        Ok(self.optional_json(column)?.ok_or(Corrupt::NoJson)?)
    }

    /// A JSON value, or NULL.
    pub(crate) fn optional_json<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>, StoreError> {
        match self {
            Self::Postgres(row) => {
                let text: Option<JsonText<'_>> = row.try_get(column)?;
                text.map(|JsonText(text)| parse(text)).transpose()
            }
            Self::Sqlite(row) => {
                let text = row.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from)?;
                text.map(|text| parse(text.as_bytes())).transpose()
            }
        }
    }

    /// Warnings, as [`warnings_to_json`] writes them.
    pub(crate) fn warnings(&self, column: &str) -> Result<Vec<ResultWarning>, StoreError> {
        match self.value::<Option<String>>(column)? {
            Some(text) => Ok(serde_json::from_str(&text).map_err(Corrupt::from)?),
            None => Ok(Vec::new()),
        }
    }

    /// The result of an ended task, in its columns `exit_status` and `message`.
    pub(crate) fn result(&self) -> Result<TaskResult, StoreError> {
        let exit_status = WaitStatus(self.value("exit_status")?);
        Ok(TaskResult { exit_status, msg: self.optional_code("message")? })
    }

    /// What an attempt used, in its columns; none if its worker did not measure it.
    pub(crate) fn usage(&self) -> Result<Option<AttemptUsage>, StoreError> {
        let unsigned =
            |column| Ok::<_, StoreError>(self.value::<Option<i64>>(column)?.map(i64::unsigned_abs));
        let Some(wall_micros) = unsigned("wall_micros")? else { return Ok(None) };
        Ok(Some(AttemptUsage {
            wall_micros,
            cpu_micros: unsigned("cpu_micros")?.unwrap_or_default(),
            peak_memory: unsigned("peak_memory")?.unwrap_or_default(),
            output_bytes: unsigned("output_bytes")?.unwrap_or_default(),
        }))
    }

    /// The timeout of a task, stored as seconds.
    pub(crate) fn timeout(&self, column: &str) -> Result<Timeout, StoreError> {
        Ok(Timeout::try_from(self.value::<i64>(column)?).map_err(Corrupt::from)?)
    }

    /// A set of tags or labels, stored as a JSON array.
    pub(crate) fn tag_set(&self, column: &str) -> Result<TagSet, StoreError> {
        self.json(column)
    }
}

/// What an attempt used, in its stored form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredUsage {
    pub(crate) wall_micros: i64,
    pub(crate) cpu_micros: i64,
    pub(crate) peak_memory: i64,
    pub(crate) output_bytes: i64,
}

impl From<AttemptUsage> for StoredUsage {
    fn from(usage: AttemptUsage) -> Self {
        let signed = |number| i64::try_from(number).unwrap_or(i64::MAX);
        Self {
            wall_micros: signed(usage.wall_micros),
            cpu_micros: signed(usage.cpu_micros),
            peak_memory: signed(usage.peak_memory),
            output_bytes: signed(usage.output_bytes),
        }
    }
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, StoreError> {
    Ok(serde_json::from_slice(json).map_err(Corrupt::from)?)
}

/// The text of a `json`, `jsonb` or `text` column of PostgreSQL.
struct JsonText<'a>(&'a [u8]);

impl<'a> FromSql<'a> for JsonText<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        match raw {
            // The first byte is the version of the format.
            [1, text @ ..] if *ty == Type::JSONB => Ok(Self(text)),
            _ if *ty == Type::JSONB => Err("unsupported version of jsonb".into()),
            text => Ok(Self(text)),
        }
    }

    accepts!(JSON, JSONB, TEXT);
}

/// The only column of a row.
pub(crate) fn only<T: Column>(row: &Row<'_>) -> Result<T, StoreError> {
    row.get(0)
}

/// The result of a `count(*)`.
pub(crate) fn read_count(row: &Row<'_>) -> Result<u64, StoreError> {
    Ok(row.get::<i64>(0)?.unsigned_abs())
}

/// Serializes a value to JSON.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    Ok(serde_json::to_string(value).map_err(Corrupt::from)?)
}

/// Serializes warnings to JSON; NULL if there are none, which is the normal case.
pub(crate) fn warnings_to_json(warnings: &[ResultWarning]) -> Result<Option<String>, StoreError> {
    if warnings.is_empty() { Ok(None) } else { to_json(&warnings).map(Some) }
}
