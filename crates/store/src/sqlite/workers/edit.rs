//! What users change about a worker.

use mitosis_domain::ids::WorkerId;
use mitosis_domain::permission::Action;
use mitosis_domain::tags::Words;
use mitosis_protocol::{Role, Timestamp};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::super::rights;
use super::super::row::{Run, to_json};
use super::get::id_of;
use crate::StoreError;
use crate::ops::By;
use crate::ops::workers::WorkerChange;

const SET_TAGS: &str = "UPDATE worker SET tags = ?2, updated_at = ?3 WHERE id = ?1";

const SET_LABELS: &str = "UPDATE worker SET labels = ?2, updated_at = ?3 WHERE id = ?1";

const TOUCH: &str = "UPDATE worker SET updated_at = ?2 WHERE id = ?1";

/// Sets exactly these tags.
pub(super) fn set_tags(
    db: &Connection,
    by: By,
    uuid: Uuid,
    tags: &Words,
    now: Timestamp,
) -> Result<WorkerChange, StoreError> {
    set(db, by, uuid, SET_TAGS, tags, now)
}

/// Sets exactly these labels.
pub(super) fn set_labels(
    db: &Connection,
    by: By,
    uuid: Uuid,
    labels: &Words,
    now: Timestamp,
) -> Result<WorkerChange, StoreError> {
    set(db, by, uuid, SET_LABELS, labels, now)
}

fn set(
    db: &Connection,
    by: By,
    uuid: Uuid,
    sql: &str,
    words: &Words,
    now: Timestamp,
) -> Result<WorkerChange, StoreError> {
    let Some(worker) = id_of(db, uuid)? else { return Ok(WorkerChange::Unknown) };
    if !rights::may_on_worker(db, by, worker, Action::LabelWorkers, Role::Write)? {
        return Ok(WorkerChange::Denied);
    }
    db.run_one(sql, params![worker.0, to_json(words)?, now.unix_micros()])?;
    Ok(WorkerChange::Done)
}

/// Notes that the worker took or committed a task, or that its groups changed.
pub(in super::super) fn touch(db: &Connection, worker: WorkerId, now: Timestamp) -> Result<(), StoreError> {
    db.run_one(TOUCH, [worker.0, now.unix_micros()])
}
