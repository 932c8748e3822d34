//! How the schema is brought up to date.

use tokio_postgres::{Client, Config, NoTls};

use super::{connect, fault};
use crate::ops::SchemaVersion;
use crate::{Fault, NewerSchema};

mod embedded {
    refinery::embed_migrations!("migrations/postgres");
}

/// Held by the one coordinator that migrates; the number means nothing.
const LOCK: &str = "SELECT pg_advisory_lock(7305790132211925)";

/// Applies what this database has not seen yet. The lock goes with the connection.
pub(super) async fn migrate(config: &Config) -> Result<(), Fault> {
    let (mut client, connection) =
        config.connect(NoTls).await.map_err(|error| fault::of_connect(error, connect::shown(config)))?;
    let connection = tokio::spawn(connection);
    let outcome = migrate_on(&mut client).await;
    drop(client);
    // Its end has nothing to say that the outcome does not.
    let _ = connection.await;
    outcome
}

async fn migrate_on(client: &mut Client) -> Result<(), Fault> {
    client.batch_execute(LOCK).await?;
    let known = known();
    if let Some(found) = schema_version(client).await?.filter(|found| *found > known) {
        return Err(Fault::Schema(NewerSchema { found, known }.into()));
    }
    embedded::migrations::runner()
        .set_grouped(true)
        .run_async(client)
        .await
        .map_err(|error| Fault::Schema(error.into()))?;
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
