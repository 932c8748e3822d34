//! Migrations of the schema.

use tokio_postgres::Client;

use super::address::Address;
use super::{connect, error, server_checks};
use crate::ops::SchemaVersion;
use crate::{ForeignSchema, NewerSchema, StoreError};
use mitosis_domain::failpoints;

mod embedded {
    refinery::embed_migrations!("migrations/postgres");
}

/// Settings without time limits. A migration is awaited for as long as it takes, by the coordinator that runs
/// it and by others: a coordinator that stops waiting would have to repeat it at the next start. The limits of the
/// server and of the role don't apply either.
const NO_LIMITS: &str = "SET statement_timeout = 0; SET lock_timeout = 0; \
    SET idle_in_transaction_session_timeout = 0; SET synchronous_commit = on; SET timezone = 'UTC'";

/// The lock of the coordinator that migrates; the number has no meaning.
const LOCK_IF_FREE: &str = "SELECT pg_try_advisory_lock(7305790132211925)";
const LOCK: &str = "SELECT pg_advisory_lock(7305790132211925)";

/// Applies the missing migrations. The lock is released with the connection.
pub(super) async fn migrate(address: &Address) -> Result<(), StoreError> {
    let (mut client, driver) =
        connect::connect(address).await.map_err(|error| error::of_connect(error, address.shown()))?;
    let driver = mitosis_background::spawn("postgres-connection", driver);
    let outcome = migrate_on(&mut client).await;
    drop(client);
    // The outcome contains every error of the connection.
    let _ = driver.await;
    outcome
}

async fn migrate_on(client: &mut Client) -> Result<(), StoreError> {
    client.batch_execute(NO_LIMITS).await?;
    if !client.query_one(LOCK_IF_FREE, &[]).await?.try_get::<_, bool>(0)? {
        tracing::info!("waiting for another coordinator that migrates the database");
        client.batch_execute(LOCK).await?;
    }
    let found = check_version(client).await?;
    server_checks::check_encoding(client, found.is_none()).await?;
    failpoints::point("migrate.steps:before");
    embedded::migrations::runner().set_grouped(true).run_async(client).await.map_err(error::of_migration)?;
    failpoints::point("migrate.steps:after");
    Ok(())
}

/// Checks, without writing, whether [`migrate`] would refuse the database.
pub(super) async fn inspect(address: &Address) -> Result<(), StoreError> {
    let (client, driver) =
        connect::connect(address).await.map_err(|error| error::of_connect(error, address.shown()))?;
    let driver = mitosis_background::spawn("postgres-connection", driver);
    let outcome = check_version(&client).await;
    drop(client);
    // The outcome contains every error of the connection.
    let _ = driver.await;
    outcome.map(drop)
}

/// Returns the version of the schema, or none in a new database. Refuses a newer version and the database of
/// another program.
async fn check_version(client: &Client) -> Result<Option<i64>, StoreError> {
    let known = known();
    match schema_version(client).await? {
        Some(found) if found > known => Err(StoreError::Schema(NewerSchema { found, known }.into())),
        Some(found) => Ok(Some(found)),
        None => match foreign(client).await? {
            Some(foreign) => Err(StoreError::Schema(foreign.into())),
            None => Ok(None),
        },
    }
}

/// Finds a table of another program that has the name of one of this program's tables. Tables that only mito
/// 0.6 has come first.
const FOREIGN: &str = "
    SELECT tablename::text, tablename = ANY ($1) AS is_mito_06
    FROM pg_tables
    WHERE schemaname = current_schema() AND (tablename = ANY ($1) OR tablename = ANY ($2))
    ORDER BY is_mito_06 DESC, tablename
    LIMIT 1";
const TABLES_OF_MITO_06: [&str; 3] = ["active_tasks", "archived_tasks", "user_group"];
const OWN_TABLES: [&str; 7] = ["users", "groups", "membership", "task", "worker", "artifact", "attachment"];

/// Which other program owns a database without migrations of this program.
async fn foreign(client: &Client) -> Result<Option<ForeignSchema>, StoreError> {
    let Some(row) =
        client.query_opt(FOREIGN, &[&TABLES_OF_MITO_06.as_slice(), &OWN_TABLES.as_slice()]).await?
    else {
        return Ok(None);
    };
    match row.try_get(1)? {
        true => Ok(Some(ForeignSchema::Mito06)),
        false => Ok(Some(ForeignSchema::Other(row.try_get(0)?))),
    }
}

const HISTORY: &str = "SELECT to_regclass('refinery_schema_history') IS NOT NULL";
const VERSION: &str = "SELECT max(version)::bigint FROM refinery_schema_history";

/// The latest migration of this program.
fn known() -> i64 {
    let migrations = embedded::migrations::runner();
    let versions = migrations.get_migrations().iter().map(|migration| i64::from(migration.version()));
    versions.max().expect("there is at least one migration")
}

/// The version of the schema, and the latest version that this program supports.
pub(super) async fn version(client: &Client) -> Result<SchemaVersion, StoreError> {
    Ok(SchemaVersion { found: schema_version(client).await?.unwrap_or(0), known: known() })
}

/// The latest applied migration; none in a new database.
async fn schema_version(client: &Client) -> Result<Option<i64>, StoreError> {
    if !client.query_one(HISTORY, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    Ok(client.query_one(VERSION, &[]).await?.try_get(0)?)
}

#[cfg(test)]
mod tests {
    use mitosis_testkit::postgres::PostgresServer;
    use refinery::Target;
    use tokio_postgres::NoTls;

    use super::*;

    /// Two members whose tasks are in one lane before the migration.
    const SHARED_LANE: &str = "
        INSERT INTO users (id, username, password_hash, admin, state, group_quota, group_count, created_at, updated_at)
        OVERRIDING SYSTEM VALUE
        VALUES (1, 'ann', '', FALSE, 0, 8, 1, 0, 0), (2, 'raj', '', FALSE, 0, 8, 1, 0, 0);
        INSERT INTO groups (id, name, creator_id, state, task_count, storage_quota, storage_used, created_at, updated_at)
        OVERRIDING SYSTEM VALUE VALUES (5, 'lab', 2, 0, 4, 0, 0, 0, 0);
        INSERT INTO tag_set (id, digest, tags) OVERRIDING SYSTEM VALUE VALUES (3, 'a', '[]'), (4, 'b', '[\"gpu\"]');
        INSERT INTO lane (id, group_id, tag_set_id) OVERRIDING SYSTEM VALUE VALUES (-7, 5, 3), (-8, 5, 4);
        INSERT INTO task (id, uuid, group_id, number, creator_id, lane_id, priority, labels, spec, timeout_seconds,
                          created_at, updated_at)
        SELECT 10 + at, gen_random_uuid(), 5, at, CASE WHEN at IN (2, 4) THEN 2 ELSE 1 END, -7, 0, '[]', '{}', 1, 0, 0
        FROM generate_series(1, 5) AS at;
        INSERT INTO ready (lane_id, neg_priority, task_id, epoch, losses, queued_at)
        VALUES (-7, -1, 11, 0, 0, 0), (-7, -1, 12, 0, 0, 0), (-7, -1, 13, 0, 0, 0);
        INSERT INTO done (task_id, state, exit_status, epoch, token, finished_at) VALUES (14, 3, 0, 1, 1, 0)";

    const MISPLACED: &str = "
        SELECT (SELECT count(*) FROM task JOIN lane ON lane.id = task.lane_id WHERE lane.creator_id <> task.creator_id)
            + (SELECT count(*) FROM ready JOIN task ON task.id = ready.task_id WHERE ready.lane_id <> task.lane_id)
            + (SELECT count(*) FROM lane WHERE limit_set_id <> 0)";

    #[tokio::test(flavor = "multi_thread")]
    async fn lanes_of_several_creators_are_divided() {
        let server = PostgresServer::start().await.unwrap();
        let url = server.fresh_database().await.unwrap();
        let (mut client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        mitosis_testkit::spawn(connection);
        let before = embedded::migrations::runner().set_target(Target::Version(18));
        before.run_async(&mut client).await.unwrap();
        client.batch_execute(SHARED_LANE).await.unwrap();
        migrate_on(&mut client).await.unwrap();
        let number = async |sql: &str| client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
        assert_eq!(number(MISPLACED).await, 0);
        assert_eq!(
            number("SELECT count(*) FROM lane").await,
            3,
            "the lane without tasks stays, one is divided"
        );
        assert_eq!(number("SELECT creator_id FROM lane WHERE id = -7").await, 1, "ann has the most tasks");
        assert_eq!(number("SELECT creator_id FROM lane WHERE id = -8").await, 2, "the creator of the group");
        assert_eq!(number("SELECT count(*) FROM task WHERE lane_id = -7").await, 3);
    }
}
