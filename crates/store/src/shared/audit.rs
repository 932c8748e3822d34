//! The audit log.

use std::net::IpAddr;

use async_trait::async_trait;
use mitosis_protocol::Timestamp;
use mitosis_protocol::audit::AuditEntry;

use crate::StoreError;
use crate::backend::Backend;
use crate::db::{Db, Row, Sql, sql};
use crate::enum_codes::row_count;
use crate::ops::audit::Audit;

#[async_trait]
impl<B: Backend> Audit for B {
    async fn record(
        &self,
        actor: &str,
        action: &str,
        target: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let texts = [actor, action, target].map(str::to_owned);
        let address = address.map(|address| address.to_string());
        self.write_statement((texts, address, now), |db, (texts, address, now)| {
            Box::pin(record(db, texts, address.as_deref(), *now))
        })
        .await
    }

    async fn audit(&self, before: Option<i64>, limit: u64) -> Result<Vec<AuditEntry>, StoreError> {
        self.read_for_user((before, limit), |db, (before, limit)| Box::pin(page(db, *before, *limit))).await
    }
}

const INSERT: Sql =
    sql!("INSERT INTO audit (at, actor, action, target, address) VALUES ($1, $2, $3, $4, $5)");

async fn record(
    db: Db<'_>,
    [actor, action, target]: &[String; 3],
    address: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    db.run_one(INSERT, &[&now.unix_micros(), actor, action, target, &address]).await
}

const PAGE: Sql = sql!(
    "
    SELECT id, at, actor, action, target, address FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2"
);

async fn page(db: Db<'_>, before: Option<i64>, limit: u64) -> Result<Vec<AuditEntry>, StoreError> {
    db.all(PAGE, &[&before.unwrap_or(i64::MAX), &row_count(limit)], read).await
}

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
