//! Objects that no record needs any more.

use mitosis_protocol::Timestamp;

use crate::StoreError;
use crate::db::{Db, List, Sql, sql};

const INSERT_GARBAGE: Sql =
    sql!("INSERT INTO garbage (object, since) VALUES ($1, $2) ON CONFLICT DO NOTHING");

const DELETE_GARBAGE: Sql = sql!("DELETE FROM garbage WHERE object = $1");

/// Records an object that no record needs any more.
pub(crate) async fn add(db: Db<'_>, object: &str, now: Timestamp) -> Result<(), StoreError> {
    db.run(INSERT_GARBAGE, &[&object, &now.unix_micros()]).await?;
    Ok(())
}

const INSERT_LATE_GARBAGE: Sql =
    sql!("INSERT INTO garbage (object, since, due) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");

/// Records an object that no record needs any more, and that is kept until `due`.
pub(crate) async fn add_late(
    db: Db<'_>,
    object: &str,
    now: Timestamp,
    due: Timestamp,
) -> Result<(), StoreError> {
    db.run(INSERT_LATE_GARBAGE, &[&object, &now.unix_micros(), &due.unix_micros()]).await?;
    Ok(())
}

const INSERT_ALL_GARBAGE: Sql = sql!(
    postgres: "
    INSERT INTO garbage (object, since) SELECT object, $2 FROM unnest($1::text[]) AS object
    ON CONFLICT DO NOTHING",
    sqlite: "INSERT OR IGNORE INTO garbage (object, since) SELECT value, ?2 FROM json_each(?1)",
);

/// Records objects that no record needs any more.
pub(crate) async fn add_all(db: Db<'_>, objects: &[String], now: Timestamp) -> Result<(), StoreError> {
    if !objects.is_empty() {
        db.run(INSERT_ALL_GARBAGE, &[&List(objects), &now.unix_micros()]).await?;
    }
    Ok(())
}

/// Deletes the garbage record of an object that a new record needs.
pub(super) async fn delete(db: Db<'_>, object: &str) -> Result<(), StoreError> {
    db.run(DELETE_GARBAGE, &[&object]).await?;
    Ok(())
}
