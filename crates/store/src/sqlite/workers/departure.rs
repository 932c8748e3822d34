//! Workers that are gone and must not come back by themselves.

use mitosis_protocol::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::row::{Columns, Run};
use crate::StoreError;
use crate::code::Code;
use crate::ops::workers::Departure;

const NOTE: &str = "INSERT OR IGNORE INTO worker_gone (uuid, reason, at) VALUES (?1, ?2, ?3)";

/// Remembers why a worker went.
pub(super) fn note(
    db: &Connection,
    uuid: Uuid,
    departure: Departure,
    now: Timestamp,
) -> Result<(), StoreError> {
    db.run(NOTE, params![uuid.as_bytes(), departure.code(), now.unix_micros()]).map(drop)
}

const DEPARTURE: &str = "SELECT reason FROM worker_gone WHERE uuid = ?1";

/// Why the worker went.
pub(super) fn of(db: &Connection, uuid: Uuid) -> Result<Option<Departure>, StoreError> {
    db.optional(DEPARTURE, [uuid.as_bytes()], |row| row.code("reason"))
}

const DELETE: &str = "
    DELETE FROM worker_gone WHERE uuid IN (SELECT uuid FROM worker_gone WHERE at < ?1 ORDER BY at LIMIT ?2)";

/// Deletes notes that are older.
pub(in super::super) fn delete(db: &Connection, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    Ok(db.run(DELETE, params![before.unix_micros(), limit])? as u64)
}
