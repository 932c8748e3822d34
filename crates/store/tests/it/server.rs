//! Database servers that crash, restart, or are shared by coordinators.

use std::sync::Arc;
use std::time::Duration;

use mitosis_store::ops::query::{Count, Page, TaskQuery};
use mitosis_store::postgres::PostgresStore;
use mitosis_store::sqlite::SqliteStore;
use mitosis_store::{ForeignSchema, Store as _, StoreError};
use mitosis_testkit::postgres::PostgresServer;
use tokio_postgres::NoTls;

use crate::backend::postgres::Postgres;
use crate::harness::{Harness, tag_set};

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_changes_survive_a_server_crash() {
    let mut server = PostgresServer::start().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    let store: Arc<dyn mitosis_store::Store> = Arc::new(PostgresStore::open(&url).await.unwrap());
    let harness = Harness::over(Postgres::around(&url, store.clone()));
    let ann = harness.person("ann").await;

    let (mut acknowledged, mut killed) = (Vec::new(), false);
    let error = loop {
        let task = harness.task(ann.group);
        match store.submit(ann.user, std::slice::from_ref(&task), None, harness.now).await {
            Ok(_) => acknowledged.push(task.uuid),
            Err(error) => break error,
        }
        if acknowledged.len() == 50 && !killed {
            server.kill().unwrap();
            killed = true;
        }
    };
    assert!(error.is_transient(), "{error:?}");
    assert!(store.ping().await.unwrap_err().is_transient());

    server.restart().await.unwrap();
    for uuid in acknowledged {
        assert!(store.task(uuid).await.unwrap().is_some(), "{uuid} was acknowledged");
    }
    harness.submit_one(&ann).await;
    harness.check_invariants().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn user_queries_leave_connections_for_the_service() {
    let server = PostgresServer::start().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    let store: Arc<dyn mitosis_store::Store> = Arc::new(PostgresStore::open(&url).await.unwrap());
    let harness = Harness::over(Postgres::around(&url, store.clone()));
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let uuid = harness.submit_one(&ann).await;
    // Only queries for labels hang.
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    mitosis_testkit::spawn(connection);
    client.batch_execute("BEGIN; LOCK TABLE label IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let query = TaskQuery { labels: tag_set("slow"), ..TaskQuery::all_of(ann.group) };
    let page = Page { before: None, offset: 0, limit: 10 };
    let questions: Vec<_> = (0..40)
        .map(|_| {
            let (store, query) = (store.clone(), query.clone());
            mitosis_testkit::spawn(async move { store.query_tasks(&query, page).await.map(drop) })
        })
        .collect();
    let (watcher, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    mitosis_testkit::spawn(connection);
    let all_wait = async { while watcher.query_one(WAITING, &[]).await.unwrap().get::<_, i64>(0) < 4 {} };
    tokio::time::timeout(Duration::from_secs(5), all_wait).await.expect("every connection for users waits");
    let others = async {
        assert!(store.user("ann").await.unwrap().is_some());
        assert_eq!(harness.claim_one(worker).await.task.uuid, uuid);
    };
    tokio::time::timeout(Duration::from_secs(5), others).await.expect("claims and logins continue");

    questions.iter().for_each(tokio::task::JoinHandle::abort);
    client.batch_execute("ROLLBACK").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn query_is_cancelled_when_its_caller_leaves() {
    let server = PostgresServer::start().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    let store: Arc<dyn mitosis_store::Store> = Arc::new(PostgresStore::open(&url).await.unwrap());
    let harness = Harness::over(Postgres::around(&url, store.clone()));
    let ann = harness.person("ann").await;
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    mitosis_testkit::spawn(connection);
    // A transaction sees one snapshot of the activity.
    let (watcher, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    mitosis_testkit::spawn(connection);
    let waiting = async |wanted: i64| {
        let are_there =
            async { while watcher.query_one(WAITING, &[]).await.unwrap().get::<_, i64>(0) != wanted {} };
        tokio::time::timeout(Duration::from_secs(5), are_there).await
    };
    client.batch_execute("BEGIN; LOCK TABLE label IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let query = TaskQuery { labels: tag_set("slow"), ..TaskQuery::all_of(ann.group) };
    let page = Page { before: None, offset: 0, limit: 10 };
    // More queries than connections for users.
    for _ in 0..2 {
        let questions: Vec<_> = (0..4)
            .map(|_| {
                let (store, query) = (store.clone(), query.clone());
                mitosis_testkit::spawn(async move { store.query_tasks(&query, page).await.map(drop) })
            })
            .collect();
        waiting(4).await.expect("they wait for the table");
        questions.iter().for_each(tokio::task::JoinHandle::abort);
        waiting(0).await.expect("they are cancelled");
    }
    // They are cancelled before the lock timeout, and the connections are free again.
    let all = TaskQuery::all_of(ann.group);
    let answer = tokio::time::timeout(Duration::from_secs(5), store.query_tasks(&all, page))
        .await
        .expect("a connection is free");
    assert!(answer.unwrap().is_empty());
    client.batch_execute("ROLLBACK").await.unwrap();
}

/// Statements that wait for a lock.
const WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND wait_event_type = 'Lock'";

#[tokio::test(flavor = "multi_thread")]
async fn slow_count_is_incomplete() {
    let server = PostgresServer::start().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    let store: Arc<dyn mitosis_store::Store> = Arc::new(PostgresStore::open(&url).await.unwrap());
    let harness = Harness::over(Postgres::around(&url, store.clone()));
    let ann = harness.person("ann").await;
    harness.submit_one(&ann).await;
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    mitosis_testkit::spawn(connection);
    client.batch_execute("BEGIN; LOCK TABLE task IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let all = TaskQuery::all_of(ann.group);
    let count = || store.count_tasks(&all, 1_000, Duration::from_millis(200));
    let counted = tokio::time::timeout(Duration::from_secs(5), count()).await.expect("in time").unwrap();
    assert_eq!(counted, Count { at_least: 0, is_complete: false });
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(count().await.unwrap(), Count { at_least: 1, is_complete: true });
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_coordinators_migrate_once() {
    let server = PostgresServer::start().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    let starts = (0..8).map(|_| {
        let url = url.clone();
        mitosis_testkit::spawn(async move { PostgresStore::open(&url).await })
    });
    for started in futures_util::future::join_all(starts.collect::<Vec<_>>()).await {
        started.unwrap().unwrap().ping().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn database_of_a_later_version_is_refused() {
    let server = PostgresServer::start().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    PostgresStore::open(&url).await.unwrap().close().await;
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    mitosis_testkit::spawn(connection);
    client
        .batch_execute("INSERT INTO refinery_schema_history VALUES (9999, 'later', '2031-01-01', '0')")
        .await
        .unwrap();
    let error = PostgresStore::open(&url).await.unwrap_err();
    let StoreError::Schema(source) = error else { panic!("{error:?}") };
    assert!(source.to_string().contains("9999"), "{source}");
}

/// Some tables of mito 0.6; their columns are irrelevant.
const MITO_06: &str = "
    CREATE TABLE users (id bigint PRIMARY KEY, username text, encrypted_password text);
    CREATE TABLE groups (id bigint PRIMARY KEY, group_name text);
    CREATE TABLE user_group (id bigint PRIMARY KEY);
    CREATE TABLE active_tasks (id bigint PRIMARY KEY);
    CREATE TABLE archived_tasks (id bigint PRIMARY KEY)";
const OF_ANOTHER: &str = "CREATE TABLE users (id bigint PRIMARY KEY)";
const EVERYTHING: &str = "
    SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = 'public'";

#[tokio::test(flavor = "multi_thread")]
async fn foreign_database_is_refused_unchanged() {
    let server = PostgresServer::start().await.unwrap();
    for (tables, named) in [(MITO_06, "mito 0.6"), (OF_ANOTHER, "`users`")] {
        let url = server.fresh_database().await.unwrap();
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        mitosis_testkit::spawn(connection);
        client.batch_execute(tables).await.unwrap();
        let count = async || client.query_one(EVERYTHING, &[]).await.unwrap().get::<_, i64>(0);
        let before = count().await;
        for refused in [PostgresStore::inspect(&url).await, PostgresStore::open(&url).await.map(drop)] {
            let Err(StoreError::Schema(source)) = refused else { panic!("{refused:?}") };
            assert!(source.is::<ForeignSchema>() && source.to_string().contains(named), "{source}");
        }
        assert_eq!(count().await, before, "{named}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inspection_of_a_usable_database_writes_nothing() {
    let server = PostgresServer::start().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    PostgresStore::inspect(&url).await.unwrap();
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    mitosis_testkit::spawn(connection);
    assert_eq!(client.query_one(EVERYTHING, &[]).await.unwrap().get::<_, i64>(0), 0);
    PostgresStore::open(&url).await.unwrap().close().await;
    PostgresStore::inspect(&url).await.unwrap();
}

#[test]
fn foreign_sqlite_file_is_refused_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bookmarks.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE moz_places (id)").unwrap();
    let before = std::fs::read(&path).unwrap();
    let Err(StoreError::Schema(source)) = SqliteStore::open(&path) else { panic!("it was accepted") };
    assert!(source.to_string().contains("`moz_places`"), "{source}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_differ_from_an_unreachable_server() {
    let mut server = PostgresServer::start_on_loopback().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    let wrong = [
        url.replace(PostgresServer::PASSWORD, "hunter2"),
        server.url("nowhere"),
        "postgres://".to_owned(),
        "not an address".to_owned(),
    ];
    for wrong in wrong {
        let error = PostgresStore::open(&wrong).await.unwrap_err();
        assert!(matches!(error, StoreError::Address { .. }), "{wrong}: {error:?}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    server.kill().unwrap();
    let error = PostgresStore::open(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_operations_than_connections_wait_for_their_turn() {
    let harness = Harness::<Postgres>::set_up().await;
    let ann = harness.person("ann").await;
    let store = harness.store();
    let all = (0..200).map(|_| {
        let (store, task) = (store.clone(), harness.task(ann.group));
        let (user, now) = (ann.user, harness.now);
        mitosis_testkit::spawn(async move { store.submit(user, &[task], None, now).await.map(drop) })
    });
    let all = futures_util::future::join_all(all.collect::<Vec<_>>());
    for submitted in tokio::time::timeout(Duration::from_secs(60), all).await.unwrap() {
        submitted.unwrap().unwrap();
    }
    assert_eq!(harness.scalar("SELECT count(DISTINCT number) FROM task").await, 200);
}
