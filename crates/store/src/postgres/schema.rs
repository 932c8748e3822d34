//! How the schema is brought up to date.

use tokio_postgres::Client;

use super::address::Address;
use super::{connect, fault, setup};
use crate::ops::SchemaVersion;
use crate::{Fault, NewerSchema};

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
pub(super) async fn migrate(address: &Address) -> Result<(), Fault> {
    let (mut client, driver) =
        connect::connect(address).await.map_err(|error| fault::of_connect(error, address.shown()))?;
    let driver = tokio::spawn(driver);
    let outcome = migrate_on(&mut client).await;
    drop(client);
    // Its end has nothing to say that the outcome does not.
    let _ = driver.await;
    outcome
}

async fn migrate_on(client: &mut Client) -> Result<(), Fault> {
    client.batch_execute(NO_LIMITS).await?;
    if !client.query_one(LOCK_IF_FREE, &[]).await?.try_get::<_, bool>(0)? {
        tracing::info!("another coordinator brings the schema of the database up to date; waiting for it");
        client.batch_execute(LOCK).await?;
    }
    let known = known();
    let found = schema_version(client).await?;
    if let Some(found) = found.filter(|found| *found > known) {
        return Err(Fault::Schema(NewerSchema { found, known }.into()));
    }
    setup::check_encoding(client, found.is_none()).await?;
    embedded::migrations::runner().set_grouped(true).run_async(client).await.map_err(fault::of_migration)?;
    Ok(())
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
pub(super) async fn version(client: &Client) -> Result<SchemaVersion, Fault> {
    Ok(SchemaVersion { found: schema_version(client).await?.unwrap_or(0), known: known() })
}

/// The latest migration that was applied; none in a new database.
async fn schema_version(client: &Client) -> Result<Option<i64>, Fault> {
    if !client.query_one(HISTORY, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    Ok(client.query_one(VERSION, &[]).await?.try_get(0)?)
}
