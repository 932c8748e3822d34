//! Taking turns at a worker.
//!
//! Whatever changes a worker, or a lease of one, locks the worker first and looks afterwards, so that
//! what it sees stays true until its end.

use mitosis_domain::ids::WorkerId;
use mitosis_protocol::worker::WorkerState;
use uuid::Uuid;

use super::super::row::{self, Columns, Db};
use crate::Fault;

const LOCK: &str = "SELECT state FROM worker WHERE id = $1 FOR UPDATE";

/// Waits for the worker; answers its state, or nothing when it is gone.
pub(in super::super) async fn lock(tx: &impl Db, worker: WorkerId) -> Result<Option<WorkerState>, Fault> {
    row::optional(tx, LOCK, &[&worker.0], |row| row.code("state")).await
}

const LOCK_BY_UUID: &str = "SELECT id FROM worker WHERE uuid = $1 FOR UPDATE";

/// Like [`lock`], by the other name; answers the id.
pub(super) async fn lock_by_uuid(tx: &impl Db, uuid: Uuid) -> Result<Option<WorkerId>, Fault> {
    row::optional(tx, LOCK_BY_UUID, &[&uuid], |row| Ok(WorkerId(row.try_get(0)?))).await
}
