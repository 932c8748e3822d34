//! What only a database server can do to its clients: be away, come back, be shared.

use std::sync::Arc;
use std::time::Duration;

use mitosis_store::postgres::PostgresStore;
use mitosis_store::{Fault, Store as _};
use mitosis_testkit::postgres::PostgresServer;
use tokio_postgres::NoTls;

use crate::backend::postgres::Postgres;
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_crash_of_the_server() {
    let mut server = PostgresServer::start().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    let store: Arc<dyn mitosis_store::Store> = Arc::new(PostgresStore::open(&url).await.unwrap());
    let stage = Stage::over(Postgres::around(&url, store.clone()));
    let ann = stage.person("ann").await;

    let (mut acknowledged, mut killed) = (Vec::new(), false);
    let fault = loop {
        let task = stage.task(ann.group);
        match store.submit(ann.user, std::slice::from_ref(&task), None, stage.now).await {
            Ok(_) => acknowledged.push(task.uuid),
            Err(fault) => break fault,
        }
        if acknowledged.len() == 50 && !killed {
            server.kill().unwrap();
            killed = true;
        }
    };
    assert!(fault.is_transient(), "{fault:?}");
    assert!(store.ping().await.unwrap_err().is_transient());

    server.restart().await.unwrap();
    for uuid in acknowledged {
        assert!(store.task(uuid).await.unwrap().is_some(), "{uuid} was acknowledged");
    }
    stage.submit_one(&ann).await;
    stage.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn coordinators_that_start_together_bring_the_schema_up_to_date_once() {
    let server = PostgresServer::start().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    let starts = (0..8).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { PostgresStore::open(&url).await })
    });
    for started in futures_util::future::join_all(starts.collect::<Vec<_>>()).await {
        started.unwrap().unwrap().ping().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_later_version_is_left_alone() {
    let server = PostgresServer::start().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    PostgresStore::open(&url).await.unwrap().close().await;
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("INSERT INTO refinery_schema_history VALUES (9999, 'later', '2031-01-01', '0')")
        .await
        .unwrap();
    let fault = PostgresStore::open(&url).await.unwrap_err();
    let Fault::Schema(source) = fault else { panic!("{fault:?}") };
    assert!(source.to_string().contains("9999"), "{source}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_or_name_is_told_apart_from_a_server_that_is_away() {
    let mut server = PostgresServer::start_on_loopback().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    let wrong = [
        url.replace(PostgresServer::PASSWORD, "hunter2"),
        server.url("nowhere"),
        "postgres://".to_owned(),
        "not an address".to_owned(),
    ];
    for wrong in wrong {
        let fault = PostgresStore::open(&wrong).await.unwrap_err();
        assert!(matches!(fault, Fault::Address { .. }), "{wrong}: {fault:?}");
        assert!(!fault.to_string().contains("hunter2"), "{fault}");
    }
    server.kill().unwrap();
    let fault = PostgresStore::open(&url).await.unwrap_err();
    assert!(matches!(fault, Fault::Unavailable(_)), "{fault:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_operations_than_connections_wait_for_their_turn() {
    let stage = Stage::<Postgres>::set_up().await;
    let ann = stage.person("ann").await;
    let store = stage.store();
    let all = (0..200).map(|_| {
        let (store, task) = (store.clone(), stage.task(ann.group));
        let (user, now) = (ann.user, stage.now);
        tokio::spawn(async move { store.submit(user, &[task], None, now).await.map(drop) })
    });
    let all = futures_util::future::join_all(all.collect::<Vec<_>>());
    for submitted in tokio::time::timeout(Duration::from_secs(60), all).await.unwrap() {
        submitted.unwrap().unwrap();
    }
    assert_eq!(stage.scalar("SELECT count(DISTINCT number) FROM task").await, 200);
}
