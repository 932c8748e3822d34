//! A database in a file has one coordinator, which knows what it does.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::SqliteStore;
use crate::Fault;
use crate::ops::signals::{Heard, Signals};

#[async_trait]
impl Signals for SqliteStore {
    async fn signal(&self, _text: &str) -> Result<(), Fault> {
        Ok(())
    }

    fn hear(&self) -> Option<mpsc::Receiver<Heard>> {
        None
    }
}
