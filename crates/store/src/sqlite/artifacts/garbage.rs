//! Objects that no record needs any more.

use mitosis_protocol::Timestamp;
use rusqlite::{Connection, params};

use super::super::row::Run;
use crate::StoreError;

const INSERT_GARBAGE: &str = "INSERT INTO garbage (object, since) VALUES (?1, ?2) ON CONFLICT DO NOTHING";

const DELETE_GARBAGE: &str = "DELETE FROM garbage WHERE object = ?1";

/// Notes an object whose record is gone.
pub(in super::super) fn add(db: &Connection, object: &str, now: Timestamp) -> Result<(), StoreError> {
    db.run(INSERT_GARBAGE, params![object, now.unix_micros()])?;
    Ok(())
}

/// Forgets an object: it was removed, or a new record needs it.
pub(super) fn forget(db: &Connection, object: &str) -> Result<(), StoreError> {
    db.run(DELETE_GARBAGE, [object])?;
    Ok(())
}
