//! The audit log.

use std::net::IpAddr;

use async_trait::async_trait;
use mitosis_protocol::Timestamp;
use mitosis_protocol::audit::AuditEntry;
use tokio_postgres::Row;

use super::row::{self, Columns};
use super::{PostgresStore, ask};
use crate::StoreError;
use crate::code::row_count;
use crate::ops::audit::Audit;

#[async_trait]
impl Audit for PostgresStore {
    async fn record(
        &self,
        actor: &str,
        action: &str,
        target: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let address = address.map(|address| address.to_string());
        let params: row::Params<'_> = &[&now.unix_micros(), &actor, &action, &target, &address];
        row::run_one(&self.client().await?, INSERT, params).await
    }

    async fn audit(&self, before: Option<i64>, limit: u64) -> Result<Vec<AuditEntry>, StoreError> {
        let params: row::Params<'_> = &[&before.unwrap_or(i64::MAX), &row_count(limit)];
        ask!(self, db => row::all(db, PAGE, params, read))
    }
}

const INSERT: &str = "INSERT INTO audit (at, actor, action, target, address) VALUES ($1, $2, $3, $4, $5)";

const PAGE: &str = "
    SELECT id, at, actor, action, target, address FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2";

fn read(row: &Row) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        id: row.value("id")?,
        at: row.time("at")?,
        actor: row.value("actor")?,
        action: row.value("action")?,
        target: row.value("target")?,
        address: row.value::<Option<String>>("address")?.and_then(|address| address.parse().ok()),
    })
}
