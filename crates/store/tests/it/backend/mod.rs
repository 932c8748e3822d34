//! Starts a database for a test, and reads it after the test.

pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;
use mitosis_store::Store;

/// A database for one test, which is deleted with the value.
#[async_trait]
pub(crate) trait Backend: Sized + Send + Sync {
    /// What several databases share, such as a server.
    type Shared: Send;

    /// Starts what several databases share; it is stopped when dropped.
    async fn start_shared() -> Self::Shared;

    /// Creates an empty database.
    async fn fresh() -> Self;

    /// The store, as the coordinator would hold it.
    fn store(&self) -> Arc<dyn Store>;

    /// Closes the store and opens it again on the same data.
    async fn reopen(&mut self);

    /// Reads one number with a query that bypasses the store.
    async fn scalar(&self, sql: &str) -> i64;
}
