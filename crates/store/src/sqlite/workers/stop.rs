//! Telling a worker to stop.

use mitosis_domain::ids::WorkerId;
use mitosis_protocol::Timestamp;
use mitosis_protocol::worker::{ShutdownOp, WorkerState};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::rights;
use super::super::row::{Columns, Run};
use super::edit::touch;
use super::get::id_of;
use super::remove::remove;
use crate::StoreError;
use crate::code::Code;
use crate::ops::By;
use crate::ops::workers::{Departure, Fate, Stop};

const HOLDS_A_TASK: &str = "SELECT EXISTS (SELECT 1 FROM lease WHERE worker_id = ?1)";

fn holds_a_task(db: &Connection, worker: WorkerId) -> Result<bool, StoreError> {
    db.one(HOLDS_A_TASK, [worker.0], |row| Ok(row.get(0)?))
}

const SET_STATE: &str = "UPDATE worker SET state = ?2, updated_at = ?3 WHERE id = ?1";

/// Removes the worker, or marks it when it may still end what it holds.
pub(super) fn stop(
    db: &Connection,
    by: By,
    uuid: Uuid,
    op: ShutdownOp,
    now: Timestamp,
) -> Result<Stop, StoreError> {
    let Some(worker) = id_of(db, uuid)? else { return Ok(Stop::Unknown) };
    if !rights::controls(db, by, worker)? {
        return Ok(Stop::NotInControl);
    }
    if op == ShutdownOp::Graceful && holds_a_task(db, worker)? {
        let state = WorkerState::GracefulShutdown.code();
        db.run_one(SET_STATE, params![worker.0, state, now.unix_micros()])?;
        return Ok(Stop::Marked);
    }
    remove(db, worker, uuid, Some(Departure::Removed), Fate::Returned, now)?;
    Ok(Stop::Removed)
}

/// Removes the worker, as it wishes, or as its guard reports.
pub(super) fn sign_off(db: &Connection, uuid: Uuid, fate: Fate, now: Timestamp) -> Result<Stop, StoreError> {
    let Some(worker) = id_of(db, uuid)? else { return Ok(Stop::Unknown) };
    remove(db, worker, uuid, None, fate, now)?;
    Ok(Stop::Removed)
}

const STATE_OF_WORKER: &str = "SELECT uuid, state FROM worker WHERE id = ?1";

/// A worker has committed a task: if it was to stop and this was the last, it is removed.
pub(in super::super) fn after_commit(
    db: &Connection,
    worker: WorkerId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (uuid, state): (Uuid, WorkerState) =
        db.one(STATE_OF_WORKER, [worker.0], |row| Ok((row.uuid("uuid")?, row.code("state")?)))?;
    match state {
        WorkerState::GracefulShutdown if !holds_a_task(db, worker)? => {
            remove(db, worker, uuid, Some(Departure::Removed), Fate::Returned, now).map(drop)
        }
        WorkerState::GracefulShutdown | WorkerState::Normal => touch(db, worker, now),
    }
}
