//! A database in a private server.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use mitosis_store::Store;
use mitosis_store::postgres::PostgresStore;
use mitosis_testkit::postgres::PostgresServer;
use tokio::sync::Mutex;
use tokio_postgres::NoTls;

use super::Backend;

/// The server of this process, while a test uses it.
static SERVER: Mutex<Weak<PostgresServer>> = Mutex::const_new(Weak::new());

async fn server() -> Arc<PostgresServer> {
    let mut running = SERVER.lock().await;
    if let Some(server) = running.upgrade() {
        return server;
    }
    let server = Arc::new(PostgresServer::start().await.unwrap());
    *running = Arc::downgrade(&server);
    server
}

/// A store on a server.
pub(crate) struct Postgres {
    /// Stops with the last database in it; not for a server that the test has started.
    _server: Option<Arc<PostgresServer>>,
    url: String,
    store: Arc<dyn Store>,
}

impl Postgres {
    /// A store on the server of a test.
    pub(crate) fn around(url: &str, store: Arc<dyn Store>) -> Self {
        Self { _server: None, url: url.to_owned(), store }
    }
}

#[async_trait]
impl Backend for Postgres {
    type Shared = Arc<PostgresServer>;

    async fn start_shared() -> Self::Shared {
        server().await
    }

    async fn fresh() -> Self {
        let server = server().await;
        let url = server.fresh_database().await.unwrap();
        let store = Arc::new(PostgresStore::open(&url).await.unwrap());
        Self { _server: Some(server), url, store }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        self.store = Arc::new(PostgresStore::open(&self.url).await.unwrap());
    }

    async fn scalar(&self, sql: &str) -> i64 {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        mitosis_testkit::spawn(connection);
        let row = client.query_one(sql, &[]).await.unwrap();
        row.get(0)
    }
}
