//! Taking turns at a worker.
//!
//! Whatever changes a worker, or a lease of one, locks the worker first and looks afterwards, so that
//! what it sees stays true until its end.

use mitosis_domain::ids::WorkerId;
use mitosis_protocol::worker::WorkerState;
use uuid::Uuid;

use super::super::row::{self, Columns, Db};
use crate::StoreError;

/// A worker that stays as it is until the end of the transaction.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Locked {
    pub(in super::super) id: WorkerId,
    pub(in super::super) uuid: Uuid,
    pub(in super::super) state: WorkerState,
}

const LOCK: &str = "SELECT uuid, state FROM worker WHERE id = $1 FOR UPDATE";

/// Waits for the worker; nothing when it is gone.
pub(in super::super) async fn lock(tx: &impl Db, id: WorkerId) -> Result<Option<Locked>, StoreError> {
    row::optional(tx, LOCK, &[&id.0], |row| {
        Ok(Locked { id, uuid: row.value("uuid")?, state: row.code("state")? })
    })
    .await
}

const LOCK_BY_UUID: &str = "SELECT id FROM worker WHERE uuid = $1 FOR UPDATE";

/// Like [`lock`], by the other name; answers the id.
pub(super) async fn lock_by_uuid(tx: &impl Db, uuid: Uuid) -> Result<Option<WorkerId>, StoreError> {
    row::optional(tx, LOCK_BY_UUID, &[&uuid], |row| Ok(WorkerId(row.try_get(0)?))).await
}
