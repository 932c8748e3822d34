//! How connections are made.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::config::Host;
use tokio_postgres::{Config, NoTls};

use crate::{BoxError, Fault};

/// Connections of one coordinator. More would only wait for the same disk and processors.
const CONNECTIONS: usize = 16;
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long an operation waits for a connection.
const QUEUE_LIMIT: Duration = Duration::from_secs(10);
/// How long a peer that says nothing is believed to be there.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// No statement and no lock is waited for without end, and a connection that was forgotten in the
/// middle of a transaction does not hold up the others.
///
/// Plans are kept. One that was made while a table was almost empty would read the whole of it when it has
/// a million rows, so a table is read along an index wherever there is one.
const SESSION: &str = "-c statement_timeout=120s -c lock_timeout=20s \
    -c idle_in_transaction_session_timeout=60s -c synchronous_commit=on -c timezone=UTC -c jit=off \
    -c enable_seqscan=off";

/// Reads a URL and adds what every connection needs.
pub(super) fn config(url: &str) -> Result<Config, Fault> {
    let refused = |source: BoxError| Fault::Address { address: "db_url".to_owned(), source };
    let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| refused(error.into()))?;
    if config.get_hosts().is_empty() {
        return Err(refused("it names no host".into()));
    }
    config
        .application_name("mito")
        .connect_timeout(CONNECT_LIMIT)
        .tcp_user_timeout(SILENCE_LIMIT)
        .keepalives_idle(SILENCE_LIMIT)
        .options(SESSION);
    Ok(config)
}

/// Connections that are made when they are needed, and kept.
pub(super) fn pool(config: Config) -> Result<Pool, Fault> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    Pool::builder(Manager::from_config(config, NoTls, recycling))
        .max_size(CONNECTIONS)
        .wait_timeout(Some(QUEUE_LIMIT))
        .create_timeout(Some(CONNECT_LIMIT))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| Fault::Unexpected(error.into()))
}

/// Where a configuration leads, without its password.
pub(super) fn shown(config: &Config) -> String {
    let hosts: Vec<_> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("postgres://{}:{port}/{database}", hosts.join(","))
}
