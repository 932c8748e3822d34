//! Connections and their settings.

use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::Address;
use super::error;
use crate::StoreError;

/// The number of connections of one coordinator. More would only compete for the same disk and processors.
pub(super) const CONNECTIONS: usize = 16;
/// The number of additional connections for the queries of users, which may take long. Claims, reports,
/// renewals and logins never wait for them.
pub(super) const USER_CONNECTIONS: usize = 4;
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long an operation waits for a connection.
const QUEUE_LIMIT: Duration = Duration::from_secs(10);
/// After how much silence a connection is considered broken.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// The settings of every connection.
///
/// The timeouts bound the wait for each statement and each lock, and end a transaction whose client is stuck,
/// since it blocks others.
///
/// Plans are cached. A plan that was made while a table was almost empty would scan all of it when it has a
/// million rows, so sequential scans are disabled, and an index is used wherever there is one.
///
/// They are set after connecting, since poolers refuse unknown startup parameters.
const SESSION: &[(&str, &str)] = &[
    ("statement_timeout", "120s"),
    ("lock_timeout", "20s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("synchronous_commit", "on"),
    ("timezone", "UTC"),
    ("jit", "off"),
    ("enable_seqscan", "off"),
];

/// The part of a connection that has to be polled.
pub(super) type Driver = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Parses a URL and adds the options of every connection.
pub(super) fn address(url: &str) -> Result<Address, StoreError> {
    let mut address = Address::parse(url)?;
    let config = &mut address.config;
    if config.get_application_name().is_none() {
        config.application_name("mito");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_LIMIT);
    }
    config.tcp_user_timeout(SILENCE_LIMIT).keepalives_idle(SILENCE_LIMIT);
    Ok(address)
}

/// Opens a connection without the settings.
pub(super) async fn connect(address: &Address) -> Result<(Client, Driver), tokio_postgres::Error> {
    address.config.connect(address.tls.connector()).await
}

/// Opens a short-lived connection, which is polled in the background.
pub(super) async fn client(address: &Address) -> Result<Client, StoreError> {
    let (client, driver) =
        connect(address).await.map_err(|error| error::of_connect(error, address.shown()))?;
    // It ends when the client is dropped. The next call of the client returns an error of the connection.
    mitosis_background::spawn("postgres-connection", driver);
    Ok(client)
}

/// Creates a pool of up to `most` connections, which are opened on demand and kept.
pub(super) fn pool(address: &Address, most: usize) -> Result<Pool, StoreError> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(address.config.clone(), address.tls.connector(), recycling);
    let settings = settings(address.config.get_options().unwrap_or_default());
    Pool::builder(manager)
        .max_size(most)
        .wait_timeout(Some(QUEUE_LIMIT))
        .create_timeout(Some(CONNECT_LIMIT))
        .post_create(Hook::async_fn(move |client, _| {
            let settings = settings.clone();
            Box::pin(async move { client.batch_execute(&settings).await.map_err(HookError::Backend) })
        }))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| StoreError::Unexpected(error.into()))
}

/// The statements that apply the settings, except those that `options` in `db_url` overrides.
fn settings(options: &str) -> String {
    let own = SESSION.iter().filter(|(name, _)| !is_set_in(options, name));
    own.map(|(name, value)| format!("SET {name} = '{value}';")).collect::<Vec<_>>().join(" ")
}

/// Whether the options contain `-c name=value` or `--name=value`.
fn is_set_in(options: &str, name: &str) -> bool {
    options.split(|letter: char| letter.is_whitespace()).any(|word| {
        let setting = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")).unwrap_or(word);
        // PostgreSQL accepts dashes instead of underscores there.
        setting.split_once('=').is_some_and(|(set, _)| set.replace('-', "_").eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_url_override_settings() {
        let with = settings("-c statement_timeout=5min --lock-timeout=1s -cjit=on");
        for given in ["statement_timeout", "lock_timeout", "jit"] {
            assert!(!with.contains(&format!("SET {given} ")), "{given}: {with}");
        }
        assert!(with.contains("SET timezone = 'UTC';"), "{with}");
        assert!(settings("-c search_path=lock_timeout").contains("SET lock_timeout = '20s';"));
    }
}
