//! The audit log. Entries are added and read, never changed.

use std::net::IpAddr;

use async_trait::async_trait;
use mitosis_protocol::Timestamp;
use mitosis_protocol::audit::AuditEntry;

use crate::StoreError;

/// Operations on the audit log.
#[async_trait]
pub trait Audit {
    /// Adds an entry.
    async fn record(
        &self,
        actor: &str,
        action: &str,
        target: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Reads entries with ids below `before`, newest first.
    async fn audit(&self, before: Option<i64>, limit: u64) -> Result<Vec<AuditEntry>, StoreError>;
}
