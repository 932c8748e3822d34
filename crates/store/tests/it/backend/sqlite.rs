//! A database file in a directory of its own.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use mitosis_store::Store;
use mitosis_store::sqlite::SqliteStore;

use super::Backend;

/// A store on a file.
pub(crate) struct Sqlite {
    directory: tempfile::TempDir,
    store: Arc<SqliteStore>,
}

impl Sqlite {
    fn file(directory: &tempfile::TempDir) -> PathBuf {
        directory.path().join("state.db")
    }
}

#[async_trait]
impl Backend for Sqlite {
    type Shared = ();

    async fn start_shared() -> Self::Shared {}

    async fn fresh() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&Self::file(&directory)).unwrap());
        Self { directory, store }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        self.store = Arc::new(SqliteStore::open(&Self::file(&self.directory)).unwrap());
    }

    async fn scalar(&self, sql: &str) -> i64 {
        let db = rusqlite::Connection::open(Self::file(&self.directory)).unwrap();
        db.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}
