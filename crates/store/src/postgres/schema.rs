//! How the schema is brought up to date.

use tokio_postgres::Client;

use super::address::Address;
use super::{connect, error, setup};
use crate::ops::SchemaVersion;
use crate::{ForeignSchema, NewerSchema, StoreError};
use mitosis_domain::crash;

mod embedded {
    refinery::embed_migrations!("migrations/postgres");
}

/// However long a migration takes, it is waited for, by whoever runs it and by the next coordinator: one that
/// gave up after a while would have to do the same again at each start. The server's or the role's own
/// limits don't hold here either.
const NO_LIMITS: &str = "SET statement_timeout = 0; SET lock_timeout = 0; \
    SET idle_in_transaction_session_timeout = 0; SET synchronous_commit = on; SET timezone = 'UTC'";

/// Held by the one coordinator that migrates; the number means nothing.
const LOCK_IF_FREE: &str = "SELECT pg_try_advisory_lock(7305790132211925)";
const LOCK: &str = "SELECT pg_advisory_lock(7305790132211925)";

/// Applies what this database has not seen yet. The lock goes with the connection.
pub(super) async fn migrate(address: &Address) -> Result<(), StoreError> {
    let (mut client, driver) =
        connect::connect(address).await.map_err(|error| error::of_connect(error, address.shown()))?;
    let driver = mitosis_background::spawn("postgres-connection", driver);
    let outcome = migrate_on(&mut client).await;
    drop(client);
    // Its end has nothing to say that the outcome does not.
    let _ = driver.await;
    outcome
}

async fn migrate_on(client: &mut Client) -> Result<(), StoreError> {
    client.batch_execute(NO_LIMITS).await?;
    if !client.query_one(LOCK_IF_FREE, &[]).await?.try_get::<_, bool>(0)? {
        tracing::info!("another coordinator brings the schema of the database up to date; waiting for it");
        client.batch_execute(LOCK).await?;
    }
    let found = refuse_what_is_not_ours(client).await?;
    setup::check_encoding(client, found.is_none()).await?;
    crash::point("migrate.steps:before");
    embedded::migrations::runner().set_grouped(true).run_async(client).await.map_err(error::of_migration)?;
    crash::point("migrate.steps:after");
    Ok(())
}

/// Looks, and writes nothing: whether [`migrate`] would refuse the database.
pub(super) async fn inspect(address: &Address) -> Result<(), StoreError> {
    let (client, driver) =
        connect::connect(address).await.map_err(|error| error::of_connect(error, address.shown()))?;
    let driver = mitosis_background::spawn("postgres-connection", driver);
    let outcome = refuse_what_is_not_ours(&client).await;
    drop(client);
    // Its end has nothing to say that the outcome does not.
    let _ = driver.await;
    outcome.map(drop)
}

/// The version of a schema that is ours; none in a new database.
async fn refuse_what_is_not_ours(client: &Client) -> Result<Option<i64>, StoreError> {
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

/// A name of ours that another program uses in the schema where the tables would be made; one that only mito 0.6
/// has comes first.
const FOREIGN: &str = "
    SELECT tablename::text, tablename = ANY ($1) AS is_mito_06
    FROM pg_tables
    WHERE schemaname = current_schema() AND (tablename = ANY ($1) OR tablename = ANY ($2))
    ORDER BY is_mito_06 DESC, tablename
    LIMIT 1";
const OF_MITO_06: [&str; 3] = ["active_tasks", "archived_tasks", "user_group"];
const OURS: [&str; 7] = ["users", "groups", "membership", "task", "worker", "artifact", "attachment"];

/// Whose tables are in a database that has seen no migration of ours.
async fn foreign(client: &Client) -> Result<Option<ForeignSchema>, StoreError> {
    let Some(row) = client.query_opt(FOREIGN, &[&OF_MITO_06.as_slice(), &OURS.as_slice()]).await? else {
        return Ok(None);
    };
    match row.try_get(1)? {
        true => Ok(Some(ForeignSchema::Mito06)),
        false => Ok(Some(ForeignSchema::Other(row.try_get(0)?))),
    }
}

const HISTORY: &str = "SELECT to_regclass('refinery_schema_history') IS NOT NULL";
const VERSION: &str = "SELECT max(version)::bigint FROM refinery_schema_history";

/// The latest migration that there is.
fn known() -> i64 {
    let migrations = embedded::migrations::runner();
    let versions = migrations.get_migrations().iter().map(|migration| i64::from(migration.version()));
    versions.max().expect("there is a first migration")
}

/// Which version the schema has, and which is known.
pub(super) async fn version(client: &Client) -> Result<SchemaVersion, StoreError> {
    Ok(SchemaVersion { found: schema_version(client).await?.unwrap_or(0), known: known() })
}

/// The latest migration that was applied; none in a new database.
async fn schema_version(client: &Client) -> Result<Option<i64>, StoreError> {
    if !client.query_one(HISTORY, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    Ok(client.query_one(VERSION, &[]).await?.try_get(0)?)
}
