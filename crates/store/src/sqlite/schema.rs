//! Settings of connections, and migrations of the schema.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::ops::SchemaVersion;
use crate::{ForeignSchema, NewerSchema, StoreError};
use mitosis_domain::failpoints;

mod embedded {
    refinery::embed_migrations!("migrations/sqlite");
}

/// The size of the cache of prepared statements: more than there are statements.
const STATEMENTS: usize = 256;

/// Commits are durable, and readers don't block the writer.
const WRITER_SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -49152;            -- KiB
    PRAGMA wal_autocheckpoint = 4000;      -- pages: fewer, larger copies back into the file
    PRAGMA journal_size_limit = 67108864;  -- bytes that a log keeps after a burst
";

const READER_SETTINGS: &str = "
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -16384;            -- KiB
";

/// Opens the writing connection.
pub(super) fn open_for_writing(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = connect(file, flags)?;
    check_version(&db, file)?;
    configure(db, file, WRITER_SETTINGS)
}

/// Opens a read-only connection.
pub(super) fn open_for_reading(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    configure(connect(file, flags)?, file, READER_SETTINGS)
}

fn connect(file: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let db = Connection::open_with_flags(file, flags).map_err(|error| unusable(file, error))?;
    db.busy_timeout(Duration::from_secs(10))?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(db)
}

fn configure(db: Connection, file: &Path, settings: &str) -> Result<Connection, StoreError> {
    db.execute_batch(settings).map_err(|error| unusable(file, error))?;
    Ok(db)
}

fn unusable(file: &Path, source: rusqlite::Error) -> StoreError {
    StoreError::Address { address: file.display().to_string(), source: source.into() }
}

const FOREIGN: &str = "
    SELECT name FROM sqlite_schema
    WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'
      AND NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'refinery_schema_history')
    ORDER BY name
    LIMIT 1";

/// Refuses the file of another program, before anything is written to it, not even its journal mode.
fn check_version(db: &Connection, file: &Path) -> Result<(), StoreError> {
    let table =
        db.query_row(FOREIGN, [], |row| row.get(0)).optional().map_err(|error| unusable(file, error))?;
    match table {
        Some(table) => Err(StoreError::Schema(ForeignSchema::Other(table).into())),
        None => Ok(()),
    }
}

/// Applies the missing migrations.
pub(super) fn migrate(db: &mut Connection) -> Result<(), StoreError> {
    let known = known();
    if let Some(found) = schema_version(db)?.filter(|found| *found > known) {
        return Err(StoreError::Schema(NewerSchema { found, known }.into()));
    }
    failpoints::point("migrate.steps:before");
    embedded::migrations::runner()
        .set_grouped(true)
        .run(db)
        .map_err(|error| StoreError::Schema(error.into()))?;
    failpoints::point("migrate.steps:after");
    Ok(())
}

/// The latest migration of this program.
fn known() -> i64 {
    let migrations = embedded::migrations::runner();
    let versions = migrations.get_migrations().iter().map(|migration| i64::from(migration.version()));
    versions.max().expect("there is at least one migration")
}

/// The version of the schema, and the latest version that this program supports.
pub(super) fn version(db: &Connection) -> Result<SchemaVersion, StoreError> {
    Ok(SchemaVersion { found: schema_version(db)?.unwrap_or(0), known: known() })
}

/// The latest applied migration; none in a new database.
fn schema_version(db: &Connection) -> Result<Option<i64>, StoreError> {
    let migrated = db
        .query_row("SELECT 1 FROM sqlite_schema WHERE name = 'refinery_schema_history'", [], |_| Ok(()))
        .optional()?;
    match migrated {
        None => Ok(None),
        Some(()) => {
            Ok(db.query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the settings that make a commit survive a power failure, since a test can't cause one.
    #[test]
    fn commits_wait_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.db");
        std::fs::File::create(&file).unwrap();
        let db = open_for_writing(&file).unwrap();
        let setting = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
        assert_eq!(setting("synchronous"), Ok(2), "FULL");
        assert_eq!(setting("foreign_keys"), Ok(1));
        let journal: String = db.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(journal, "wal");
    }
}
