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

/// A migration may replace a table that others refer to.
const FREE_REFERENCES: &str = "PRAGMA foreign_keys = OFF";
const CHECK_REFERENCES: &str = "PRAGMA foreign_keys = ON";

/// Applies the missing migrations.
pub(super) fn migrate(db: &mut Connection) -> Result<(), StoreError> {
    let known = known();
    if let Some(found) = schema_version(db)?.filter(|found| *found > known) {
        return Err(StoreError::Schema(NewerSchema { found, known }.into()));
    }
    failpoints::point("migrate.steps:before");
    db.execute_batch(FREE_REFERENCES)?;
    embedded::migrations::runner()
        .set_grouped(true)
        .run(db)
        .map_err(|error| StoreError::Schema(error.into()))?;
    db.execute_batch(CHECK_REFERENCES)?;
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
    use refinery::Target;

    use super::*;

    /// Two members whose tasks are in one lane before the migration: two of one wait, one of the other waits, one has ended.
    const SHARED_LANE: &str = "
        INSERT INTO users (id, username, password_hash, admin, state, group_quota, group_count, created_at, updated_at)
        VALUES (1, 'ann', '', 0, 0, 8, 1, 0, 0), (2, 'raj', '', 0, 0, 8, 1, 0, 0);
        INSERT INTO groups (id, name, creator_id, state, task_count, storage_quota, storage_used, created_at, updated_at)
        VALUES (5, 'lab', 2, 0, 4, 0, 0, 0, 0);
        INSERT INTO tag_set (id, tags) VALUES (3, '[]'), (4, '[\"gpu\"]');
        INSERT INTO lane (id, group_id, tag_set_id) VALUES (7, 5, 3), (8, 5, 4);
        INSERT INTO task (id, uuid, group_id, number, creator_id, lane_id, priority, labels, spec, timeout_seconds,
                          created_at, updated_at)
        VALUES (11, x'01', 5, 1, 1, 7, 0, '[]', '{}', 1, 0, 0), (12, x'02', 5, 2, 2, 7, 0, '[]', '{}', 1, 0, 0),
               (13, x'03', 5, 3, 1, 7, 0, '[]', '{}', 1, 0, 0), (14, x'04', 5, 4, 2, 7, 0, '[]', '{}', 1, 0, 0),
               (15, x'05', 5, 5, 1, 7, 0, '[]', '{}', 1, 0, 0);
        INSERT INTO ready (lane_id, neg_priority, task_id, epoch, losses, queued_at)
        VALUES (7, -1, 11, 0, 0, 0), (7, -1, 12, 0, 0, 0), (7, -1, 13, 0, 0, 0);
        INSERT INTO done (task_id, state, exit_status, epoch, token, finished_at) VALUES (14, 3, 0, 1, 1, 0);";

    /// Tasks in a lane of another creator or with another place in the queue, and lanes that are wrong.
    const MISPLACED: &str = "
        SELECT (SELECT count(*) FROM task JOIN lane ON lane.id = task.lane_id WHERE lane.creator_id <> task.creator_id)
            + (SELECT count(*) FROM ready JOIN task ON task.id = ready.task_id WHERE ready.lane_id <> task.lane_id)
            + (SELECT count(*) FROM lane WHERE limit_set_id <> 0)
            + (SELECT count(*) FROM pragma_foreign_key_check)";

    #[test]
    fn lanes_of_several_creators_are_divided() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.db");
        std::fs::File::create(&file).unwrap();
        let mut db = open_for_writing(&file).unwrap();
        embedded::migrations::runner().set_target(Target::Version(18)).run(&mut db).unwrap();
        db.execute_batch(SHARED_LANE).unwrap();
        migrate(&mut db).unwrap();
        let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(number(MISPLACED), 0);
        assert_eq!(number("SELECT count(*) FROM lane"), 3, "the lane without tasks stays, one is divided");
        assert_eq!(number("SELECT creator_id FROM lane WHERE id = 7"), 1, "ann has the most tasks");
        assert_eq!(number("SELECT creator_id FROM lane WHERE id = 8"), 2, "the creator of the group");
        assert_eq!(number("SELECT count(*) FROM task WHERE lane_id = 7"), 3);
        assert_eq!(number("SELECT count(*) FROM groups WHERE weight = 1 AND write_priority IS NULL"), 1);
        assert_eq!(number("PRAGMA foreign_keys"), 1);
    }

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
