//! The audit log.

use std::net::IpAddr;

use async_trait::async_trait;
use mitosis_protocol::Timestamp;
use mitosis_protocol::audit::AuditEntry;
use rusqlite::{Row, params};

use super::SqliteStore;
use super::row::{Columns, Run};
use crate::StoreError;
use crate::code::row_count;
use crate::ops::audit::Audit;

#[async_trait]
impl Audit for SqliteStore {
    async fn record(
        &self,
        actor: &str,
        action: &str,
        target: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let [actor, action, target] = [actor, action, target].map(str::to_owned);
        let address = address.map(|address| address.to_string());
        self.write(move |db| db.run_one(INSERT, params![now.unix_micros(), actor, action, target, address]))
            .await
    }

    async fn audit(&self, before: Option<i64>, limit: u64) -> Result<Vec<AuditEntry>, StoreError> {
        self.answer(move |db| db.all(PAGE, [before.unwrap_or(i64::MAX), row_count(limit)], read)).await
    }
}

const INSERT: &str = "INSERT INTO audit (at, actor, action, target, address) VALUES (?1, ?2, ?3, ?4, ?5)";

const PAGE: &str = "
    SELECT id, at, actor, action, target, address FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2";

fn read(row: &Row<'_>) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        id: row.value("id")?,
        at: row.time("at")?,
        actor: row.value("actor")?,
        action: row.value("action")?,
        target: row.value("target")?,
        address: row.value::<Option<String>>("address")?.and_then(|address| address.parse().ok()),
    })
}
