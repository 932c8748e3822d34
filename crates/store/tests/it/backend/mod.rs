//! How a database is started for a test, and examined when it has ended.

pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;
use mitosis_store::Store;

/// A database of its own, gone with the value.
#[async_trait]
pub(crate) trait Backend: Sized + Send + Sync {
    /// Keeps what databases have in common, such as a server, until it is dropped.
    type House: Send;

    /// Readies it for several databases that are made one after the other.
    async fn house() -> Self::House;

    /// An empty one.
    async fn fresh() -> Self;

    /// Its store, as the coordinator would hold it.
    fn store(&self) -> Arc<dyn Store>;

    /// Closes the store and opens it again on the same data.
    async fn reopen(&mut self);

    /// The one number that a query gives, read past the store.
    async fn scalar(&self, sql: &str) -> i64;
}
