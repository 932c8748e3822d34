//! Connections: TLS, poolers, options and missing privileges.

use std::time::Duration;

use mitosis_store::postgres::PostgresStore;
use mitosis_store::{SetupError, Store as _, StoreError};
use mitosis_testkit::certificates::Certificates;
use mitosis_testkit::pgbouncer::PgBouncer;
use mitosis_testkit::postgres::PostgresServer;
use tokio_postgres::NoTls;

async fn refused(url: &str) -> StoreError {
    match PostgresStore::open(url).await {
        Ok(_) => panic!("{url} was accepted"),
        Err(error) => error,
    }
}

fn text(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// An administrator's connection.
async fn psql(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    mitosis_testkit::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn sslmode_decides_what_is_verified() {
    let ours = Certificates::new().unwrap();
    let other = Certificates::new().unwrap();
    let (certificate, key) = ours.server("server", &["db.example"]).unwrap();
    let server = PostgresServer::start_with_tls(&certificate, &key, &ours.authority(), false).await.unwrap();
    let url = server.fresh_database().await.unwrap();
    let with =
        |mode: &str, root: &std::path::Path| format!("{url}?sslmode={mode}&sslrootcert={}", root.display());

    for taken in [
        url.clone(),
        format!("{url}?sslmode=require"),
        with("require", &ours.authority()),
        with("verify-ca", &ours.authority()),
        with("verify-full", &ours.authority()).replace("127.0.0.1:", "db.example:") + "&hostaddr=127.0.0.1",
    ] {
        let store =
            PostgresStore::open(&taken).await.unwrap_or_else(|error| panic!("{taken}: {}", text(&error)));
        store.ping().await.unwrap();
        let encrypted = store_is_encrypted(&server).await;
        assert!(encrypted, "{taken}");
        store.close().await;
    }

    let error = refused(&format!("{url}?sslmode=disable")).await;
    assert!(matches!(error, StoreError::Address { .. }), "{error:?}");
    for wrong in [
        with("verify-full", &ours.authority()),
        with("verify-ca", &other.authority()),
        with("require", &other.authority()),
        format!("{url}?sslmode=verify-full"),
    ] {
        let error = refused(&wrong).await;
        let StoreError::Setup(SetupError::Tls { address, .. }) = &error else { panic!("{wrong}: {error:?}") };
        assert!(address.starts_with("postgres://127.0.0.1:"), "{address}");
        assert!(text(&error).contains("certificate"), "{}", text(&error));
    }
}

/// Whether the store has connections to the server, and all are encrypted.
async fn store_is_encrypted(server: &PostgresServer) -> bool {
    let client = psql(&server.socket_url("postgres")).await;
    let sql = "SELECT count(*) > 0 AND bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
               WHERE application_name = 'mito'";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn require_is_refused_by_a_server_without_tls() {
    let server = PostgresServer::start_on_loopback().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    PostgresStore::open(&format!("{url}?sslmode=prefer")).await.unwrap().ping().await.unwrap();
    for mode in ["require", "verify-full"] {
        let error = refused(&format!("{url}?sslmode={mode}")).await;
        assert!(matches!(error, StoreError::Setup(SetupError::Tls { .. })), "{mode}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_certificate_replaces_a_password() {
    let ours = Certificates::new().unwrap();
    let (certificate, key) = ours.server("server", &["127.0.0.1"]).unwrap();
    let server = PostgresServer::start_with_tls(&certificate, &key, &ours.authority(), true).await.unwrap();
    let (mine, my_key) = ours.client(PostgresServer::USER).unwrap();
    let url = server.fresh_database().await.unwrap().replace(&format!(":{}", PostgresServer::PASSWORD), "");
    let url = format!("{url}?sslmode=verify-full&sslrootcert={}", ours.authority().display());
    let with = format!("{url}&sslcert={}&sslkey={}", mine.display(), my_key.display());
    PostgresStore::open(&with).await.unwrap().ping().await.unwrap();
    let error = refused(&url).await;
    assert!(matches!(error, StoreError::Address { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_session_pooling_is_accepted() {
    let server = PostgresServer::start_on_loopback().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    let database = url.rsplit('/').next().unwrap();
    for mode in ["transaction", "statement"] {
        let bouncer = PgBouncer::start(&server, mode).await.unwrap();
        let error = refused(&bouncer.url(database)).await;
        let StoreError::Setup(setup @ SetupError::SharedSessions) = &error else {
            panic!("{mode}: {error:?}")
        };
        assert!(setup.hint().contains("pool_mode = session"), "{}", setup.hint());
        let client = psql(&url).await;
        let tables = client.query_one("SELECT to_regclass('task') IS NULL", &[]).await.unwrap();
        assert!(tables.get::<_, bool>(0), "{mode}: nothing was made");
    }
    let bouncer = PgBouncer::start(&server, "session").await.unwrap();
    let store = PostgresStore::open(&bouncer.url(database)).await.unwrap();
    store.ping().await.unwrap();
    let mut heard = mitosis_store::ops::notifications::Notifications::listen(&store).unwrap();
    heard.recv().await.unwrap();
    mitosis_store::ops::notifications::Notifications::notify(&store, "hello").await.unwrap();
    let said = tokio::time::timeout(Duration::from_secs(10), heard.recv()).await.unwrap().unwrap();
    assert!(
        matches!(said, mitosis_store::ops::notifications::Notification::Message(text) if text == "hello")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_the_url_are_applied() {
    let server = PostgresServer::start_on_loopback().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    psql(&url).await.batch_execute("CREATE SCHEMA elsewhere").await.unwrap();
    let with = format!(
        "{url}?options=-c%20search_path%3Delsewhere%20-c%20statement_timeout%3D7s&application_name=mine"
    );
    let store = PostgresStore::open(&with).await.unwrap();
    store.ping().await.unwrap();
    let client = psql(&url).await;
    let one = |sql| client.query_one(sql, &[]);
    let made: bool = one("SELECT to_regclass('elsewhere.task') IS NOT NULL").await.unwrap().get(0);
    assert!(made, "the schema was made where the options said");
    let named: i64 =
        one("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mine'").await.unwrap().get(0);
    assert!(named > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_privileges_are_reported() {
    let server = PostgresServer::start_on_loopback().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    server.execute("CREATE ROLE plain LOGIN PASSWORD 'plain-secret'").await.unwrap();
    let login = format!("{}:{}", PostgresServer::USER, PostgresServer::PASSWORD);
    let plain = url.replace(&login, "plain:plain-secret");
    let error = refused(&plain).await;
    let StoreError::Setup(setup @ SetupError::MissingPrivilege(_)) = &error else { panic!("{error:?}") };
    assert!(setup.hint().contains("GRANT"), "{}", setup.hint());

    server.execute("ALTER ROLE plain SET default_transaction_read_only = on").await.unwrap();
    psql(&url).await.batch_execute("GRANT CREATE, USAGE ON SCHEMA public TO plain").await.unwrap();
    let error = refused(&plain).await;
    assert!(matches!(error, StoreError::Setup(SetupError::ReadOnly(_))), "{error:?}");

    server.execute("ALTER ROLE plain SET default_transaction_read_only = off").await.unwrap();
    let store = PostgresStore::open(&plain).await.unwrap();
    psql(&url).await.batch_execute("REVOKE SELECT ON bootstrap FROM plain").await.unwrap();
    let error = store.ping().await.unwrap_err();
    assert!(matches!(error, StoreError::Setup(SetupError::MissingPrivilege(_))), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn database_in_another_encoding_is_refused_while_new() {
    let server = PostgresServer::start_on_loopback().await.unwrap();
    server.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0").await.unwrap();
    let error = refused(&server.url("latin")).await;
    let StoreError::Setup(setup @ SetupError::Encoding { found }) = &error else { panic!("{error:?}") };
    assert_eq!(found, "LATIN1");
    assert!(setup.hint().contains("UTF8"), "{}", setup.hint());
}

/// The limits of the role are minimal, and another coordinator holds the lock for longer.
#[tokio::test(flavor = "multi_thread")]
async fn migrations_wait_without_limits() {
    let server = PostgresServer::start_on_loopback().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    server
        .execute(
            "ALTER ROLE mitosis SET lock_timeout = '50ms'; ALTER ROLE mitosis SET statement_timeout = '50ms'",
        )
        .await
        .unwrap();
    let first = psql(&url).await;
    first
        .batch_execute("SET statement_timeout = 0; SELECT pg_advisory_lock(7305790132211925)")
        .await
        .unwrap();
    let opened = url.clone();
    let second = mitosis_testkit::spawn(async move { PostgresStore::open(&opened).await });
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                   AND pid IN (SELECT pid FROM pg_stat_activity WHERE now() - query_start > interval '200ms')";
    let limit = tokio::time::Instant::now() + Duration::from_secs(10);
    while first.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(!second.is_finished(), "it stopped waiting: {:?}", second.await);
        assert!(tokio::time::Instant::now() < limit, "the second coordinator does not wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(first);
    second.await.unwrap().unwrap().ping().await.unwrap();
}
