//! Locks on workers.
//!
//! Every change of a worker or of one of its leases locks the worker first and reads afterwards, so that what
//! it reads stays true until its end.

use mitosis_domain::ids::WorkerId;
use mitosis_protocol::worker::WorkerState;
use uuid::Uuid;

use crate::StoreError;
use crate::db::{Db, Sql, sql};

/// A worker whose row is locked until the end of the transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LockedWorker {
    pub(crate) id: WorkerId,
    pub(crate) uuid: Uuid,
    pub(crate) state: WorkerState,
    /// Whether it takes no more tasks, but stays registered.
    pub(crate) is_drained: bool,
}

const LOCK: Sql =
    sql!("SELECT uuid, state, drain_reason IS NOT NULL AS is_drained FROM worker WHERE id = $1 FOR UPDATE");

/// Locks a worker; none if it is gone.
pub(crate) async fn lock(db: Db<'_>, id: WorkerId) -> Result<Option<LockedWorker>, StoreError> {
    db.optional(LOCK, &[&id.0], |row| {
        let (uuid, state) = (row.value("uuid")?, row.code("state")?);
        Ok(LockedWorker { id, uuid, state, is_drained: row.value("is_drained")? })
    })
    .await
}

const LOCK_BY_UUID: Sql = sql!("SELECT id FROM worker WHERE uuid = $1 FOR UPDATE");

/// Like [`lock`], by UUID; returns the id.
pub(super) async fn lock_by_uuid(db: Db<'_>, uuid: Uuid) -> Result<Option<WorkerId>, StoreError> {
    db.optional(LOCK_BY_UUID, &[&uuid], |row| Ok(WorkerId(row.get(0)?))).await
}
