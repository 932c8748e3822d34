//! Records of removed workers that must not register again by themselves.

use mitosis_protocol::Timestamp;
use uuid::Uuid;

use crate::StoreError;
use crate::db::{Db, Sql, sql};
use crate::enum_codes::Code;
use crate::ops::workers::Departure;

const RECORD: Sql = sql!(
    "
    INSERT INTO worker_gone (uuid, reason, at) VALUES ($1, $2, $3) ON CONFLICT (uuid) DO NOTHING"
);

/// Records why a worker was removed.
pub(super) async fn note(
    db: Db<'_>,
    uuid: Uuid,
    departure: Departure,
    now: Timestamp,
) -> Result<(), StoreError> {
    db.run(RECORD, &[&uuid, &departure.code(), &now.unix_micros()]).await.map(drop)
}

const DEPARTURE: Sql = sql!("SELECT reason FROM worker_gone WHERE uuid = $1");

/// The reason why a worker was removed.
pub(super) async fn of(db: Db<'_>, uuid: Uuid) -> Result<Option<Departure>, StoreError> {
    db.optional(DEPARTURE, &[&uuid], |row| row.code("reason")).await
}

const DELETE: Sql = sql!(
    "
    DELETE FROM worker_gone WHERE uuid IN (
        SELECT uuid FROM worker_gone WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)"
);

/// Deletes old records.
pub(crate) async fn delete(db: Db<'_>, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    db.run(DELETE, &[&before.unix_micros(), &i64::from(limit)]).await
}
