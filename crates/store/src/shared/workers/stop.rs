//! Requests to stop a worker.

use mitosis_domain::ids::WorkerId;
use mitosis_protocol::Timestamp;
use mitosis_protocol::worker::{ShutdownOp, WorkerState};
use uuid::Uuid;

use super::super::rights;
use super::edit::touch;
use super::lock::{LockedWorker, lock_by_uuid};
use super::remove::remove;
use crate::StoreError;
use crate::db::{Db, Sql, only, sql};
use crate::enum_codes::Code;
use crate::ops::workers::{Departure, Fate, Stop, WorkerChange};
use crate::ops::{Actor, Changed, Effects};

const HOLDS_A_TASK: Sql = sql!("SELECT EXISTS (SELECT 1 FROM lease WHERE worker_id = $1)");

async fn holds_a_task(db: Db<'_>, worker: WorkerId) -> Result<bool, StoreError> {
    db.one(HOLDS_A_TASK, &[&worker.0], only).await
}

const SET_STATE: Sql = sql!("UPDATE worker SET state = $2, updated_at = $3 WHERE id = $1");

/// Removes the worker, or lets it drain if it may complete its tasks.
pub(super) async fn stop(
    db: Db<'_>,
    actor: Actor,
    uuid: Uuid,
    op: ShutdownOp,
    now: Timestamp,
) -> Result<Changed<Stop>, StoreError> {
    let Some(worker) = lock_by_uuid(db, uuid).await? else { return Ok(Changed::nothing(Stop::Unknown)) };
    let actor = rights::resolve(db, actor).await?;
    if !rights::controls(db, actor, worker).await? {
        return Ok(Changed::nothing(Stop::NotInControl));
    }
    if op == ShutdownOp::Graceful && holds_a_task(db, worker).await? {
        let state = WorkerState::GracefulShutdown.code();
        db.run_one(SET_STATE, &[&worker.0, &state, &now.unix_micros()]).await?;
        return Ok(Effects { workers: vec![uuid], ..Effects::ready() }.with(Stop::Marked));
    }
    let mut effects = Effects { workers: vec![uuid], ..Effects::default() };
    effects.keep(remove(db, worker, uuid, Some(Departure::Removed), Fate::Returned, now).await?);
    Ok(effects.with(Stop::Removed))
}

const SET_DRAIN: Sql = sql!("UPDATE worker SET drain_reason = $2, updated_at = $3 WHERE id = $1");

/// Lets a worker take no more tasks, or take tasks again.
pub(super) async fn drain(
    db: Db<'_>,
    actor: Actor,
    uuid: Uuid,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Changed<WorkerChange>, StoreError> {
    let Some(worker) = lock_by_uuid(db, uuid).await? else {
        return Ok(Changed::nothing(WorkerChange::Unknown));
    };
    let actor = rights::resolve(db, actor).await?;
    if !rights::controls(db, actor, worker).await? {
        return Ok(Changed::nothing(WorkerChange::Denied));
    }
    db.run_one(SET_DRAIN, &[&worker.0, &reason, &now.unix_micros()]).await?;
    Ok(Effects { workers: vec![uuid], ..Effects::ready() }.with(WorkerChange::Done))
}

/// Removes a worker that signs off, or whose end its guard reports.
pub(super) async fn sign_off(
    db: Db<'_>,
    uuid: Uuid,
    fate: Fate,
    now: Timestamp,
) -> Result<Changed<Stop>, StoreError> {
    let Some(worker) = lock_by_uuid(db, uuid).await? else { return Ok(Changed::nothing(Stop::Unknown)) };
    Ok(remove(db, worker, uuid, None, fate, now).await?.map(|_| Stop::Removed))
}

/// Removes a draining worker after the commit of its last task.
pub(crate) async fn after_commit(
    db: Db<'_>,
    worker: &LockedWorker,
    now: Timestamp,
) -> Result<Effects, StoreError> {
    match worker.state {
        WorkerState::GracefulShutdown if !holds_a_task(db, worker.id).await? => {
            let departure = Some(Departure::Removed);
            let removed = remove(db, worker.id, worker.uuid, departure, Fate::Returned, now).await?;
            Ok(removed.into_parts().1)
        }
        WorkerState::GracefulShutdown | WorkerState::Normal => {
            touch(db, worker.id, now).await.map(|()| Effects::default())
        }
    }
}
