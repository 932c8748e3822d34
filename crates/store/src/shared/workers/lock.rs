//! Taking turns at a worker.
//!
//! Whatever changes a worker, or a lease of one, locks the worker first and looks afterwards, so that
//! what it sees stays true until its end.

use mitosis_domain::ids::WorkerId;
use mitosis_protocol::worker::WorkerState;
use uuid::Uuid;

use crate::StoreError;
use crate::db::{Db, Sql, sql};

/// A worker that stays as it is until the end of the transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LockedWorker {
    pub(crate) id: WorkerId,
    pub(crate) uuid: Uuid,
    pub(crate) state: WorkerState,
}

const LOCK: Sql = sql!("SELECT uuid, state FROM worker WHERE id = $1 FOR UPDATE");

/// Waits for the worker; nothing when it is gone.
pub(crate) async fn lock(db: Db<'_>, id: WorkerId) -> Result<Option<LockedWorker>, StoreError> {
    db.optional(LOCK, &[&id.0], |row| {
        Ok(LockedWorker { id, uuid: row.value("uuid")?, state: row.code("state")? })
    })
    .await
}

const LOCK_BY_UUID: Sql = sql!("SELECT id FROM worker WHERE uuid = $1 FOR UPDATE");

/// Like [`lock`], by the other name; answers the id.
pub(super) async fn lock_by_uuid(db: Db<'_>, uuid: Uuid) -> Result<Option<WorkerId>, StoreError> {
    db.optional(LOCK_BY_UUID, &[&uuid], |row| Ok(WorkerId(row.get(0)?))).await
}
