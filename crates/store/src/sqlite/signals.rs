//! A database in a file has one coordinator, which knows what it does.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::SqliteStore;
use crate::StoreError;
use crate::db::only;
use crate::ops::signals::{Heard, Signals};

const AGREE: &str = "
    INSERT INTO shared_secret (name, secret) VALUES (?1, ?2)
    ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING secret";

#[async_trait]
impl Signals for SqliteStore {
    async fn signal(&self, _text: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn shared_secret(&self, name: &str, proposal: &str) -> Result<String, StoreError> {
        let params = [name, proposal].map(str::to_owned);
        self.write(move |db| db.one(AGREE, params, only)).await
    }

    fn hear(&self) -> Option<mpsc::Receiver<Heard>> {
        None
    }
}
