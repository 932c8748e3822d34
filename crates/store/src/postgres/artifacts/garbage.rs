//! Objects that no record needs any more.

use mitosis_protocol::Timestamp;

use super::super::row::{self, Db};
use crate::StoreError;

const INSERT_GARBAGE: &str = "INSERT INTO garbage (object, since) VALUES ($1, $2) ON CONFLICT DO NOTHING";

const DELETE_GARBAGE: &str = "DELETE FROM garbage WHERE object = ANY($1)";

/// Notes an object whose record is gone.
pub(super) async fn add(tx: &impl Db, object: &str, now: Timestamp) -> Result<(), StoreError> {
    row::run(tx, INSERT_GARBAGE, &[&object, &now.unix_micros()]).await?;
    Ok(())
}

const INSERT_ALL_GARBAGE: &str = "
    INSERT INTO garbage (object, since) SELECT object, $2 FROM unnest($1::text[]) AS object
    ON CONFLICT DO NOTHING";

/// Notes objects whose records are gone.
pub(in super::super) async fn add_all(
    tx: &impl Db,
    objects: &[&str],
    now: Timestamp,
) -> Result<(), StoreError> {
    if !objects.is_empty() {
        row::run(tx, INSERT_ALL_GARBAGE, &[&objects, &now.unix_micros()]).await?;
    }
    Ok(())
}

/// Forgets objects: they were removed, or a new record needs them.
pub(super) async fn forget(db: &impl Db, objects: &[&str]) -> Result<(), StoreError> {
    row::run(db, DELETE_GARBAGE, &[&objects]).await?;
    Ok(())
}
