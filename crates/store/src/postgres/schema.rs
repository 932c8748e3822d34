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
