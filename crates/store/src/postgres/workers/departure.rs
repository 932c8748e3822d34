//! Workers that are gone and must not come back by themselves.

use mitosis_protocol::Timestamp;
use uuid::Uuid;

use super::super::row::{self, Columns, Db};
use crate::StoreError;
use crate::code::Code;
use crate::ops::workers::Departure;

const NOTE: &str = "
    INSERT INTO worker_gone (uuid, reason, at) VALUES ($1, $2, $3) ON CONFLICT (uuid) DO NOTHING";

/// Remembers why a worker went.
pub(super) async fn note(
    tx: &impl Db,
    uuid: Uuid,
    departure: Departure,
    now: Timestamp,
) -> Result<(), StoreError> {
    row::run(tx, NOTE, &[&uuid, &departure.code(), &now.unix_micros()]).await.map(drop)
}

const DEPARTURE: &str = "SELECT reason FROM worker_gone WHERE uuid = $1";

/// Why the worker went.
pub(super) async fn of(db: &impl Db, uuid: Uuid) -> Result<Option<Departure>, StoreError> {
    row::optional(db, DEPARTURE, &[&uuid], |row| row.code("reason")).await
}

const DELETE: &str = "
    DELETE FROM worker_gone WHERE uuid IN (
        SELECT uuid FROM worker_gone WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Deletes notes that are older.
pub(in super::super) async fn delete(db: &impl Db, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    row::run(db, DELETE, &[&before.unix_micros(), &i64::from(limit)]).await
}
