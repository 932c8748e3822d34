//! Notifications of a database with a single coordinator, which has no peers.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::SqliteStore;
use crate::StoreError;
use crate::db::only;
use crate::ops::notifications::{Notification, Notifications};

const SHARED_SECRET: &str = "
    INSERT INTO shared_secret (name, secret) VALUES (?1, ?2)
    ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING secret";

#[async_trait]
impl Notifications for SqliteStore {
    async fn notify(&self, _text: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn shared_secret(&self, name: &str, proposal: &str) -> Result<String, StoreError> {
        let params = [name, proposal].map(str::to_owned);
        self.write(move |db| db.one(SHARED_SECRET, params, only)).await
    }

    fn listen(&self) -> Option<mpsc::Receiver<Notification>> {
        None
    }
}
